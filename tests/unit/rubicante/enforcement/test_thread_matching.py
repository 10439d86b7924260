"""Which thread is whose: by name, and the main thread where nothing else can be meant."""

import sys
from collections.abc import Callable, Mapping, Sequence

import pytest

from daemons.rubicante.enforcement.locator import Match, find_stand_in, match, rescan_delay
from daemons.rubicante.kernel.threads import Processes, Thread, Threads, is_runtime
from tests.fakes.rubicante.kernel import CPU, PROC, FakeKernel


class Container:
    """Processes in one container; with ``namespace`` it has a PID namespace of its own."""

    def __init__(self, *, namespace: bool = True) -> None:
        self.kernel = FakeKernel()
        self.namespace = namespace
        self.shim = self.kernel.spawn(CPU, "containerd-shim")
        self.cgroup = self.kernel.make_groups(CPU / "c")
        self.threads = Threads(system=self.kernel, proc=PROC)

    def run(self, name: str, *, parent: int | None = None) -> int:
        """A process; without a parent, the runtime starts it."""
        first = not self.kernel.groups[self.cgroup].tids
        tid = self.kernel.spawn(self.cgroup, name, parent=parent or self.shim)
        if self.namespace:
            self.kernel.threads[tid].inner_pid = 1 if first else tid + 1000
        return tid

    def thread(self, pid: int, name: str) -> int:
        inner = self.kernel.threads[pid].inner_pid
        return self.kernel.spawn(self.cgroup, name, pid=pid, inner_pid=inner)

    def find(self, tid: int) -> Thread:
        found = self.threads.find(tid)
        assert found is not None
        return found

    def living(self) -> list[Thread]:
        tids = self.kernel.groups[self.cgroup].tids
        return [t for t in map(self.threads.find, tids) if t is not None]

    def processes(self) -> Processes:
        return Processes(threads=self.threads, members=self.living())

    def match(
        self, *tasks: str, held: Mapping[str, Thread] | None = None, inside: Sequence[int] = ()
    ) -> Match:
        return match(
            tasks, self.living(), processes=self.processes(), held=held or {}, inside=inside
        )

    def matched(self, *tasks: str, **known: Mapping[str, Thread]) -> dict[str, int]:
        return {t: th.tid for t, th in self.match(*tasks, **known).threads.items()}

    def stand_in(self, *, alone: bool = True) -> Thread | str:
        return find_stand_in(self.processes(), alone=alone)


@pytest.fixture(params=[True, False], ids=["namespace", "host"])
def box(request: pytest.FixtureRequest) -> Container:
    return Container(namespace=request.param)


def test_each_task_gets_the_thread_of_its_name(box: Container) -> None:
    main = box.run("python3")
    a, b = box.thread(main, "a"), box.thread(main, "b")

    assert box.matched("a", "b") == {"a": a, "b": b}


def test_of_threads_that_inherited_a_name_the_oldest_is_the_task(box: Container) -> None:
    main = box.run("a")
    box.thread(main, "a")

    assert box.matched("a") == {"a": main}


def test_a_forked_child_of_the_task_is_not_the_task(box: Container) -> None:
    main = box.run("python3")
    task = box.thread(main, "a")
    child = box.run("a", parent=main)
    box.run("a", parent=child)

    assert box.matched("a") == {"a": task}


def test_two_processes_of_which_none_started_the_other_are_neither(box: Container) -> None:
    shell = box.run("sh")
    one, two = box.run("a", parent=shell), box.run("a", parent=shell)

    found = box.match("a")

    assert found.threads == {}
    assert found.unclear == {
        "a": f"threads of several processes bear the name: 'a' (PID {one}), 'a' (PID {two})"
    }


def test_of_two_processes_the_one_that_is_held_or_was_held_stays(box: Container) -> None:
    shell = box.run("sh")
    _, two = box.run("a", parent=shell), box.run("a", parent=shell)

    assert box.matched("a", held={"a": box.find(two)}) == {"a": two}
    assert box.match("a", inside=[two]).threads["a"].tid == two


def test_the_child_of_a_held_thread_is_born_where_it_is_held_and_is_not_the_task(
    box: Container,
) -> None:
    main = box.run("a")
    child = box.run("a", parent=main)

    assert box.match("a", inside=[main, child]).threads["a"].tid == main


def test_the_thread_held_before_stays_although_another_is_older(box: Container) -> None:
    main = box.run("a")
    held = box.thread(main, "a")

    assert box.matched("a", held={"a": box.find(held)}) == {"a": held}


def test_a_held_thread_that_took_another_name_stays(box: Container) -> None:
    main = box.run("python3")
    renamed, b = box.thread(main, "other"), box.thread(main, "b")

    held = {"a": box.find(renamed)}

    assert box.matched("a", "b", held=held) == {"a": renamed, "b": b}


def test_a_held_thread_that_took_another_tasks_name_is_that_task(box: Container) -> None:
    renamed = box.run("b")

    assert box.matched("a", "b", held={"a": box.find(renamed)}) == {"b": renamed}


def test_a_later_thread_with_the_tid_of_a_dead_one_is_another(box: Container) -> None:
    main = box.run("python3")

    assert box.matched("a", held={"a": Thread(tid=main, started=1, name="a")}) == {}


@pytest.mark.parametrize("name", ["controller-loop", "a) R (b", "a b", "pause", "[x]", "1", "sh"])
def test_names_count_to_the_last_character(box: Container, name: str) -> None:
    main = box.run("python3")
    box.thread(main, name[:-1] + "?")
    task = box.thread(main, name)

    assert box.matched(name) == {name: task}


def test_what_is_started_from_outside_is_no_task_whatever_its_name() -> None:
    box = Container()
    main = box.run("python3")
    probe = box.run("a")
    box.run("a", parent=probe)

    found = box.match("a")
    task = box.thread(main, "a")

    assert found.threads == {}
    assert "kubectl exec" in found.unclear["a"]
    assert box.matched("a") == {"a": task}


def test_in_a_shared_pid_namespace_the_oldest_from_outside_is_the_program() -> None:
    box = Container()
    main = box.run("a")
    box.kernel.threads[main].inner_pid = 77
    box.run("a")

    assert box.matched("a") == {"a": main}
    assert box.stand_in() == box.find(main)


def test_the_only_process_lends_its_main_thread(box: Container) -> None:
    main = box.run("python3")
    box.thread(main, "python3")
    box.thread(main, "helper")

    assert box.stand_in() == box.find(main)


SHELLS = ["sh", "bash", "dash", "ash", "busybox", "zsh"]
INITS = ["tini", "tini-static", "dumb-init", "catatonit", "docker-init", "s6-svscan", "runit"]
LAUNCHERS = ["supervisord", "npm start", "npm run start", "java", "uv", "poetry", "time", "pause"]


@pytest.mark.parametrize("name", [*SHELLS, *INITS, *LAUNCHERS])
@pytest.mark.parametrize("alone", [True, False])
def test_a_program_that_only_starts_others_lends_nothing(
    box: Container, name: str, alone: bool
) -> None:
    main = box.run(name)
    if not alone:
        box.run("python3", parent=main)

    for patience in (True, False):
        refused = box.stand_in(alone=patience)
        assert isinstance(refused, str)
        assert repr(name) in refused
        assert ("'python3'" in refused) is not alone


def test_an_unknown_wrapper_with_a_child_lends_nothing(box: Container) -> None:
    main = box.run("my-entrypoint")
    child = box.run("python3", parent=main)

    assert box.stand_in() == (
        f"its main thread, 'my-entrypoint' (PID {main}), runs, beside 'python3' (PID {child}): "
        "which of them does the work cannot be told"
    )
    assert box.stand_in(alone=False) == box.find(main)


def test_an_exec_or_a_probe_is_no_process_beside_the_program() -> None:
    box = Container()
    main = box.run("python3")
    shell = box.run("sh")
    box.run("cat", parent=shell)
    box.run("runc:[2:INIT]")

    assert box.stand_in() == box.find(main)


def test_an_orphan_is_the_programs() -> None:
    box = Container()
    main = box.run("python3")
    box.run("left-behind", parent=main)

    assert isinstance(box.stand_in(), str)


def test_without_a_pid_namespace_an_exec_cannot_be_told_from_an_orphan() -> None:
    box = Container(namespace=False)
    box.run("python3")
    box.run("cat")

    assert isinstance(box.stand_in(), str)


def test_a_program_whose_main_thread_has_ended_lends_none() -> None:
    box = Container()
    main = box.run("python3")
    box.thread(main, "worker")
    box.kernel.threads[main].state = "Z"
    box.run("probe")

    assert box.stand_in() == f"the main thread of its program (PID {main}) has ended"


RUNTIMES = ["runc", "runc:[0:PARENT]", "runc:[1:CHILD]", "runc:[2:INIT]", "crun", "youki:[2:INIT]"]
MORE_RUNTIMES = [
    "youki",
    "youki:[1:INTER]",
    "conmon",
    "containerd-shim",
    "kata-runtime",
    "exe",
    "6",
]


@pytest.mark.parametrize("name", [*RUNTIMES, *MORE_RUNTIMES])
def test_a_runtimes_own_process_lends_nothing(box: Container, name: str) -> None:
    box.run(name)

    assert box.stand_in() == "the container's program does not run yet"


@pytest.mark.parametrize("name", ["crunch", "runcible", "conmonitor", "executor", "6th", "youkish"])
def test_a_program_whose_name_begins_like_a_runtimes_is_a_program(name: str) -> None:
    assert not is_runtime(name)


@pytest.mark.parametrize("name", ["bashful", "shell", "times", "javac", "initial", "tarsh", "push"])
def test_a_program_whose_name_begins_like_a_shells_is_a_program(box: Container, name: str) -> None:
    main = box.run(name)

    assert box.stand_in() == box.find(main)


def test_an_empty_container_lends_nothing(box: Container) -> None:
    assert isinstance(box.stand_in(), str)


@pytest.mark.parametrize("age", [0.0, 0.2, 0.3, 0.9, 1.0, 9.9, 10.0, 1e6])
def test_looks_become_rarer_with_age(age: float) -> None:
    assert rescan_delay(age) <= rescan_delay(age + 1) <= 1.0


def _sandbox(box: Container, parent: int) -> None:
    """A child that is PID 1 of a PID namespace of its own, older by its place in the list."""
    inner = box.run("init", parent=parent)
    box.kernel.threads[inner].inner_pid, box.kernel.threads[inner].namespaces = 1, 2
    box.kernel.groups[box.cgroup].tids.sort(key=lambda tid: tid != inner)


def test_pid_1_of_a_namespace_that_the_program_made_is_not_the_program() -> None:
    box = Container()
    main = box.run("python3")
    _sandbox(box, main)

    program = box.processes().main()

    assert program is not None
    assert program.pid == main


def _calls(action: Callable[[], object]) -> int:
    """How many functions are called, whatever the machine has to do besides."""
    count = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


def _storm(kind: str, size: int) -> Container:
    box = Container()
    last = main = box.run("init")
    for _ in range(size):
        match kind:
            case "threads":
                box.thread(main, "a")
            case "orphans":
                box.run("a", parent=main)
            case "visitors":
                box.run("a")
            case _:
                last = box.run("a", parent=last)
    return box


@pytest.mark.parametrize("kind", ["threads", "orphans", "visitors", "chain"])
@pytest.mark.parametrize("what", [lambda box: box.match("a", "b"), lambda box: box.stand_in()])
def test_the_work_grows_no_faster_than_the_processes(
    kind: str, what: Callable[[Container], object]
) -> None:
    few, many = _storm(kind, 100), _storm(kind, 400)

    assert _calls(lambda: what(many)) < 6 * _calls(lambda: what(few))
