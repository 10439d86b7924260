"""Laws of who is whose, for any tree of processes in a container."""

from hypothesis import given
from hypothesis import strategies as st

from daemons.rubicante.enforcement.locator import find_stand_in, match
from daemons.rubicante.kernel.threads import Processes, Thread, Threads
from tests.fakes.rubicante.kernel import CPU, PROC, FakeKernel

NAMES = st.sampled_from(["a", "b", "sh", "python3", "runc:[2:INIT]"])
GROWN = st.lists(st.tuples(st.sampled_from(["outside", "child", "thread"]), st.integers(0), NAMES))
TASKS = ["a", "b"]


class Grown:
    """Processes that grew one after the other; the first is PID 1 of the container."""

    def __init__(self, first: str, steps: list[tuple[str, int, str]]) -> None:
        kernel = FakeKernel()
        shim = kernel.spawn(CPU, "containerd-shim")
        cgroup = kernel.make_groups(CPU / "c")
        self.parents = {kernel.spawn(cgroup, first, inner_pid=1, parent=shim): 0}
        self.main = next(iter(self.parents))
        for kind, which, name in steps:
            other = list(self.parents)[which % len(self.parents)]
            if kind == "thread":
                inner = kernel.threads[other].inner_pid
                kernel.spawn(cgroup, name, pid=other, inner_pid=inner)
            else:
                parent = shim if kind == "outside" else other
                tid = kernel.spawn(cgroup, name, inner_pid=9, parent=parent)
                self.parents[tid] = 0 if kind == "outside" else other
        threads = Threads(system=kernel, proc=PROC)
        found = (threads.find(tid) for tid in kernel.groups[cgroup].tids)
        self.threads: list[Thread] = [thread for thread in found if thread is not None]
        self.pids = {tid: thread.pid for tid, thread in kernel.threads.items()}
        self.processes = Processes(threads=threads, members=self.threads)

    def line(self, tid: int) -> list[int]:
        """The PIDs of a thread's process and of those above it."""
        line = [self.pids[tid]]
        while self.parents[line[-1]]:
            line.append(self.parents[line[-1]])
        return line


@given(first=NAMES, steps=GROWN)
def test_a_task_gets_a_thread_of_its_name_from_the_program_and_nobody_elses(
    first: str, steps: list[tuple[str, int, str]]
) -> None:
    grown = Grown(first, steps)

    found = match(TASKS, grown.threads, processes=grown.processes, held={})

    for task, thread in found.threads.items():
        alike = [t for t in grown.threads if t.name == task]
        own = [t for t in alike if grown.line(t.tid)[-1] == grown.main]
        assert thread in own
        assert all(grown.pids[thread.tid] in grown.line(t.tid) for t in own)
    for task in TASKS:
        named = any(t.name == task for t in grown.threads)
        assert (task in found.threads or task in found.unclear) == named


@given(first=NAMES, steps=GROWN)
def test_only_a_program_that_is_alone_lends_its_main_thread(
    first: str, steps: list[tuple[str, int, str]]
) -> None:
    grown = Grown(first, steps)
    inside = {pid for pid in grown.parents if grown.line(pid)[-1] == grown.main}
    runtimes = {t.tid for t in grown.threads if t.name.startswith("runc")}

    found = find_stand_in(grown.processes)

    fit = inside - runtimes == {grown.main} and first != "sh"
    assert isinstance(found, Thread) == fit
    assert isinstance(found, str) or found.tid == grown.main
