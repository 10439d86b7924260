"""Budgets in containers' own cgroups, killed or refused at every write of the story."""

import errno
import os
from dataclasses import replace
from pathlib import Path

from daemons.rubicante.book.entry import Phase
from daemons.rubicante.settings import Groups
from k40s.cpu.analysis.deferrable_server import least_ancestor_budget
from k40s.cpu.linux import quantize_server
from tests.fakes.rubicante.faults import Points
from tests.fakes.rubicante.kernel import CPU
from tests.fakes.rubicante.scene import SETTINGS
from tests.fakes.rubicante.world import container_id, uid
from tests.unit.rubicante.enforcement.test_fault_points import Stage, kill_at_each, refuse_each

KUBEPODS = CPU / "k8s" / "kubepods"


class ContainerStage(Stage):
    """The same machine with kubelet's groups, and budgets in containers' own."""

    settings = replace(SETTINGS, groups=Groups.CONTAINER)

    def __init__(self, points: Points) -> None:
        super().__init__(points)
        self.kernel.make_groups(KUBEPODS / "burstable")

    def check_agreement(self) -> None:
        """Threads of bound pods have their budget, and those above what can never bind."""
        story = self.story
        assert story.lost() == []
        entries = story.daemon.book.entries()
        for entry in entries:
            server = entry.reservations[0].server
            if entry.phase is Phase.BOUND:
                leaf = self.leaf(int(entry.pod.name.rpartition("-")[2]))
                assert self.kernel.budget(leaf) == quantize_server(server)
                assert story.daemon.enforcer.threads(entry.pod.uid), entry.pod.name
        servers = [quantize_server(r.server) for entry in entries for r in entry.reservations]
        need = least_ancestor_budget(servers, 1_000_000, 4_000)
        assert self.kernel.budget(KUBEPODS)[0] >= need
        assert self.written() == {entry.pod.uid for entry in entries}

    def check_emptiness(self) -> None:
        """No budget, and nothing real-time."""
        assert self.story.daemon.book.entries() == ()
        assert self.written() == set()
        held = {path: group.runtime for path, group in self.kernel.groups.items() if group.runtime}
        assert held == {CPU: 950_000}
        for thread in self.kernel.threads.values():
            assert thread.policy == os.SCHED_OTHER
            assert thread.cgroup == self.origins[thread.tid]

    @staticmethod
    def leaf(number: int) -> Path:
        return KUBEPODS / "burstable" / f"pod{uid(number)}" / container_id(number)

    def end_all(self) -> None:
        """All pods go; what was above them is given back a period later, and at the next sweep."""
        self.story.end_all()
        for _ in range(2):
            self.story.daemon.upkeep.tick()
            self.advance(2.0)
            self.story.daemon.enforcer.note_events()
            self.story.daemon.enforcer.look()
        self.story.daemon.upkeep.tick()


def all_points() -> list[str]:
    points = Points()
    stage = ContainerStage(points)
    for step in stage.story.steps():
        step()
    names = list(points.names)
    stage.end_all()
    stage.close()
    stage.check_emptiness()
    return names


def test_killed_at_any_write_nothing_is_leaked_and_nothing_lost() -> None:
    names = all_points()
    assert sum(name.startswith("cpu.rt_runtime_us") for name in names) > 15

    kill_at_each(names, ContainerStage)


def test_refused_at_any_write_it_goes_on_and_nothing_is_leaked_or_lost() -> None:
    refuse_each(all_points(), ContainerStage, errno.EINVAL)
