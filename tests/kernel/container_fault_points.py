"""``fault_points`` with budgets in the containers' own cgroups: the same story and arguments."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from daemons.rubicante.book.entry import Phase
from daemons.rubicante.settings import Groups
from k40s.cpu.analysis.deferrable_server import least_ancestor_budget
from k40s.cpu.linux import quantize_server
from tests.fakes.rubicante.story import Story
from tests.kernel.fault_points import Machine, main
from tests.kernel.hog import CPU


class ContainerMachine(Machine):
    """The same machine with another setting."""

    retries = True

    def __init__(self, cgroup_root: str, prefix: str, directory: str, *tids: str) -> None:
        super().__init__(cgroup_root, prefix, directory, *tids)
        self.settings = replace(self.settings, groups=Groups.CONTAINER)
        self.top = CPU / cgroup_root.strip("/")

    def check(self, story: Story) -> None:
        """Threads have their budgets, those above enough; and in the end nobody has any."""
        assert story.lost() == [], "a reservation is lost"
        entries = story.daemon.book.entries()
        held = [quantize_server(r.server) for entry in entries for r in entry.reservations]
        need = least_ancestor_budget(held, 1_000_000, 4_000)
        assert _runtime(self.top / "kubepods") >= need, "kubepods have too little"
        for entry in entries:
            number = int(entry.pod.name.rpartition("-")[2])
            if entry.phase is Phase.BOUND and number in self.tids:
                wanted = quantize_server(entry.reservations[0].server)[0]
                assert _runtime(self.origins(number)[0]) == wanted, f"pod {number} lacks its budget"
                assert os.sched_getscheduler(self.tids[number]) & 1, f"pod {number} not enforced"
        story.end_all()
        story.look()
        story.daemon.upkeep.tick()
        assert story.daemon.book.entries() == (), "the book is not empty"
        left = {str(path): _runtime(path) for path in self.levels() if _runtime(path)}
        assert not left, f"budgets are leaked: {left}"
        for tid in self.tids.values():
            assert os.sched_getscheduler(tid) == os.SCHED_OTHER, f"thread {tid} is real-time"

    def levels(self) -> Iterator[Path]:
        """All groups of the tree."""
        return (Path(path) for path, _, _ in os.walk(self.top))


def _runtime(path: Path) -> int:
    return int((path / "cpu.rt_runtime_us").read_text())


if __name__ == "__main__":
    main(ContainerMachine)
