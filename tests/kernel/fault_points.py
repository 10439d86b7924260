"""A rubicante that is killed with signal 9 at every write in turn, each followed by a new one.

``fault_points.py CGROUP_ROOT PREFIX DIRECTORY TID TID``: the TIDs are the main threads of two
processes that play the pods 1 and 2. Prints a line for each point, and ends with 1 where something
was leaked or lost. What the API server knew is told over a pipe, as it outlives the process.
"""

import json
import os
import signal
import sys
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

from daemons.rubicante.daemon import Daemon
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import BudgetGroups
from daemons.rubicante.settings import Settings
from k40s.runtime.store import Store
from tests.fakes.rubicante.api_server import NODE, FakeApiServer, FakePodSource
from tests.fakes.rubicante.faults import FaultyStore, FaultySystem, Points
from tests.fakes.rubicante.story import Story, bound
from tests.fakes.rubicante.world import container_id, pod, uid
from tests.kernel.hog import CPU, OTHER


class Machine:
    """The real kernel, one store, and two processes for pods.

    With ``retries`` what the kernel refuses for some milliseconds is written again, so that a story
    may end before its last point.
    """

    retries = False
    tell: type[Story] = Story

    def __init__(self, cgroup_root: str, prefix: str, directory: str, *tids: str) -> None:
        self.pods = CPU / cgroup_root.strip("/") / "kubepods" / "burstable"
        self.prefix = prefix
        self.store = Path(directory) / "book.sqlite"
        self.tids = dict(enumerate(map(int, tids), start=1))
        self.seconds = 0.0
        self.settings = Settings(
            node_name=NODE,
            pod_ip="127.0.0.1",
            cpus=(1,),
            cgroup_root=cgroup_root,
            rt_capacity=Fraction(2, 5),
            hi_reserve="none",
            group_prefix=prefix,
            store=self.store,
        )
        self.groups = BudgetGroups(
            system=LinuxSystem(), root=CPU, prefix=prefix, wait=lambda _seconds: None
        )

    def story(self, points: Points) -> Story:
        self.open_store: Store | None = None

        def make(server: FakeApiServer, pods: FakePodSource) -> Daemon:
            self.open_store = Store(self.store)
            return Daemon(
                self.settings,
                system=FaultySystem(LinuxSystem(), points),
                gateway=server,
                pods=pods,
                store=FaultyStore(self.open_store, points),
                clock=lambda: self.seconds,
            )

        return self.tell(make=make, advance=self.advance, start=self.start)

    def advance(self, seconds: float) -> None:
        self.seconds += seconds

    def start(self, number: int) -> None:
        """The container's process is in its cgroup, in two hierarchies."""
        for path in self.origins(number):
            path.mkdir(parents=True, exist_ok=True)
            (path / "cgroup.procs").write_text(str(self.tids[number]))

    def origins(self, number: int) -> tuple[Path, Path]:
        origin = self.pods / f"pod{uid(number)}" / container_id(number)
        return origin, OTHER / origin.relative_to(CPU)

    def restore(self) -> None:
        """As it was before the first pod came."""
        for tid in self.tids.values():
            for hierarchy in (CPU, OTHER):
                (hierarchy / "cgroup.procs").write_text(str(tid))
            os.sched_setaffinity(tid, range(os.cpu_count() or 1))
        for path in self.store.parent.glob("book.sqlite*"):
            path.unlink()

    def check(self, story: Story) -> None:
        """Book, kernel and pods agree after a restart, and nothing is left after their end."""
        assert story.lost() == [], "a reservation is lost"
        entries = story.daemon.book.entries()
        held = {r.group for entry in entries for r in entry.reservations}
        assert set(self.groups.numbers()) == held, (self.groups.numbers(), held)
        for entry in entries:
            number = int(entry.pod.name.rpartition("-")[2])
            if ("default", entry.pod.name) in story.server.pods and number in self.tids:
                assert os.sched_getscheduler(self.tids[number]) & 1, f"pod {number} not enforced"
        story.end_all()
        assert story.daemon.book.entries() == (), "the book is not empty"
        assert (self.groups.numbers(), self.groups.names()) == ((), ()), "a group is leaked"
        for number, tid in self.tids.items():
            assert os.sched_getscheduler(tid) == os.SCHED_OTHER, f"thread {tid} is real-time"
            origins = [path for path in (self.origins(number)[0], CPU) if path.exists()]
            listed = " ".join((origin / "tasks").read_text() for origin in origins)
            assert str(tid) in listed.split(), f"thread {tid} is not at its origin"


def main(make: type[Machine] = Machine) -> None:
    machine = make(*sys.argv[1:])
    names = count(machine)
    failed = 0
    for number, name in enumerate(names, start=1):
        machine.restore()
        told = die(machine, number)
        story = machine.story(Points())
        recall(story, told)
        try:
            story.restart()
            machine.check(story)
            verdict = "ok"
        except AssertionError as error:
            verdict, failed = f"FAILED: {error}", failed + 1
        finally:
            story.daemon.halt()
            if machine.open_store is not None:
                machine.open_store.close()
        print(f"{number:3} {name}: {verdict}", flush=True)
    machine.restore()
    sys.exit(1 if failed else 0)


def count(machine: Machine) -> list[str]:
    """The points of the whole story."""
    points = Points()
    story = machine.story(points)
    for step in story.steps():
        step()
    story.daemon.halt()
    if machine.open_store is not None:
        machine.open_store.close()
    return points.names


def die(machine: Machine, number: int) -> list[list[int | str]]:
    """Tell the story in a child that kills itself; returns what the API server saw."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        points = Points(at=number, fault=lambda _what: os.kill(os.getpid(), signal.SIGKILL))
        try:
            tell(machine.story(points), writer)
        finally:
            os._exit(2)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        told = [json.loads(line) for line in pipe if line.endswith("\n")]
    _, status = os.waitpid(child, 0)
    ended = machine.retries and len(told) == len(list(machine.story(Points()).steps()))
    assert os.WIFSIGNALED(status) or ended, f"point {number} was not reached"
    return told


def tell(story: Story, writer: int) -> None:
    """Tell it, and before each step what the API server holds."""
    for step in story.steps():
        step()
        seen = [[number, story.statuses[number]] for number in story.statuses]
        here = [[r.name, "bound" if r.node else ""] for r in story.server.pods.values()]
        os.write(writer, (json.dumps([*seen, *here]) + "\n").encode())


def recall(story: Story, told: list[list[int | str]]) -> None:
    """Give a new story's API server what the former one knew at the end."""
    for name, value in told[-1] if told else []:  # type: ignore[misc]  # pairs, as told
        if isinstance(name, int):
            story.statuses[name] = int(value)
            continue
        number = int(name.rpartition("-")[2])
        with suppress(ValueError):
            story.server.add(bound(number) if value else pod(number))


if __name__ == "__main__":
    main()
