"""An actuator that is killed with signal 9 at every write, and the next one while it undoes.

``actuator_fault_points.py CGROUP_ROOT DIRECTORY``. The story is: throttle, freeze, a value that
somebody else resets, thaw, freeze, undo all. Prints a line for each point, and ends with 1 where
something stayed held.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from daemons.malacoda.actuator.actuator import Actuator
from daemons.malacoda.actuator.book import HoldBook
from daemons.malacoda.actuator.gate import GatePolicy
from daemons.malacoda.actuator.kernel import LinuxCgroups
from daemons.malacoda.actuator.protocol import Request, Result, Verb
from daemons.malacoda.actuator.real_time import ReservationFile
from k40s.runtime.store import Store
from k40s.units import NS_PER_S
from tests.fakes.malacoda.actuator import EVERYTHING, TENTH
from tests.fakes.malacoda.kernel import CONTAINER
from tests.fakes.rubicante.faults import Points
from tests.kernel.actuator_scene import ROOT, UID

STORY = (Verb.THROTTLE, Verb.FREEZE, Verb.KEEP, Verb.THAW, Verb.FREEZE)


class FaultyFiles(LinuxCgroups):
    """Every write is a point."""

    def __init__(self, points: Points) -> None:
        super().__init__(ROOT)
        self._points = points

    def write(self, path: str, text: str) -> None:
        what = f"{'/'.join(part[:12] for part in path.split('/')[-2:])}={text}"
        self._points.pass_by(what, lambda: LinuxCgroups.write(self, path, text))


class FaultyStore:
    """Every change on the disk is a point."""

    def __init__(self, store: Store, points: Points) -> None:
        self.entries = store.entries
        self._store = store
        self._points = points

    def put(self, key: str, text: str) -> None:
        self._points.pass_by(f"put {key[:4]}", lambda: self._store.put(key, text))

    def delete(self, key: str) -> None:
        self._points.pass_by(f"delete {key[:4]}", lambda: self._store.delete(key))


class Machine:
    """The real kernel, a store on disk, and a pod."""

    def __init__(self, cgroup_root: str, directory: str) -> None:
        self.cgroup_root = cgroup_root
        self.store = Path(directory) / "points.sqlite"
        pod = Path(cgroup_root[1:]) / "kubepods" / "burstable" / f"pod{UID}"
        self.quota = ROOT / "cpu" / pod / "cpu.cfs_quota_us"
        self.files = (
            self.quota,
            ROOT / "cpu" / pod / CONTAINER / "cpu.cfs_quota_us",
            ROOT / "freezer" / pod / "freezer.self_freezing",
        )
        self.before = self.values()
        self.seconds = 0

    def values(self) -> list[str]:
        return [file.read_text().strip() for file in self.files]

    def start(self, points: Points) -> Actuator:
        self.seconds += 7200  # so that no limit is reached
        self.opened = Store(self.store)
        book = HoldBook(FaultyStore(self.opened, points), boot="boot")
        return Actuator(
            files=FaultyFiles(points),
            book=book,
            policy=GatePolicy(allowed=EVERYTHING),
            cgroup_root=self.cgroup_root,
            real_time=ReservationFile(None),
            clock=self.clock,
        )

    def clock(self) -> int:
        return self.seconds * NS_PER_S

    def tell(self, points: Points) -> None:
        actuator = self.start(points)
        for verb in STORY:
            self.seconds += 1
            quota = TENTH if verb is Verb.THROTTLE else None
            answer = actuator.answer(Request(verb=verb, uid=UID, pod="default/x", quota=quota))
            assert answer.result is Result.DONE, answer
            if verb is Verb.KEEP:
                self.quota.write_text(self.before[0])
                actuator.look()
        assert actuator.undo_all("the end")
        self.opened.close()

    def restart(self, points: Points) -> None:
        assert self.start(points).undo_all("restarted")
        self.opened.close()


def die(turn: Callable[[Points], None], at: int) -> bool:
    """Run a turn in a child that kills itself before its write of this number, if any."""
    child = os.fork()
    if child == 0:
        turn(Points(at=at, fault=lambda _what: os.kill(os.getpid(), signal.SIGKILL)))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the child has failed"
    return os.WIFSIGNALED(status)


def run(turn: Callable[[Points], None]) -> None:
    """Run a turn in a child of its own: a store belongs to one process at a time."""
    assert not die(turn, 0)


def main() -> None:
    machine = Machine(*sys.argv[1:])
    names = Points()
    machine.tell(names)
    failed = machine.values() != machine.before
    for number, name in enumerate(names.names, start=1):
        machine.seconds += 100_000
        begun = time.monotonic()
        killed = die(machine.tell, number)
        again = die(machine.restart, number % 4)
        run(machine.restart)
        left = machine.values()
        verdict = "ok" if left == machine.before and killed else f"FAILED: {left}, {killed}"
        failed = failed or verdict != "ok"
        took = time.monotonic() - begun
        print(
            f"{number:3} {name} ({'twice' if again else 'once'}, {took:.2f} s): {verdict}",
            flush=True,
        )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
