"""Killed or refused at every single write: nothing is leaked, nothing lost, and it says why."""

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from daemons.rubicante.book.entry import Phase
from daemons.rubicante.daemon import Daemon
from k40s.cpu.model import Reservation
from k40s.errors import UnavailableError
from tests.fakes.rubicante.api_server import FakeApiServer, FakePodSource, FakeStore
from tests.fakes.rubicante.faults import FaultyStore, FaultySystem, Points
from tests.fakes.rubicante.kernel import CPU, FakeKernel, Group
from tests.fakes.rubicante.scene import SETTINGS
from tests.fakes.rubicante.story import Story, insist
from tests.fakes.rubicante.world import container_id, uid


class KilledError(BaseException):
    """kill −9: nothing of the process runs on."""


def die(_what: str) -> None:
    raise KilledError


class Stage:
    """One machine: its kernel, its disk, and the daemons that run on it one after another."""

    settings = SETTINGS

    def __init__(self, points: Points) -> None:
        self.kernel = FakeKernel()
        self.disk = FakeStore()
        self.points = points
        self.seconds = 0.0
        self.origins: dict[int, Path] = {}
        self.daemons: list[Daemon] = []
        self.story = Story(make=self.make, advance=self.advance, start=self.start)

    def make(self, server: FakeApiServer, pods: FakePodSource) -> Daemon:
        daemon = Daemon(
            self.settings,
            system=FaultySystem(self.kernel, self.points),
            gateway=server,
            pods=pods,
            store=FaultyStore(self.disk, self.points),
            clock=lambda: self.seconds,
        )
        self.daemons.append(daemon)
        return daemon

    def advance(self, seconds: float) -> None:
        self.seconds += seconds

    def start(self, number: int) -> None:
        path = CPU / "k8s" / "kubepods" / "burstable" / f"pod{uid(number)}" / container_id(number)
        if path not in self.kernel.groups:
            origin = self.kernel.make_groups(path)
            shown = "/" + str(origin.relative_to(CPU))
            self.origins[self.kernel.spawn(origin, "ctl", other_cgroup=shown)] = origin

    def close(self) -> None:
        for daemon in self.daemons:
            daemon.halt()

    def end_all(self) -> None:
        """All pods go."""
        self.story.end_all()

    def must_end_well(self, what: str) -> None:
        """Kernel and book agree, and nothing is left once all pods are gone. Closes the stage."""
        try:
            self.check_agreement()
            self.end_all()
            self.check_emptiness()
        except AssertionError as error:
            raise AssertionError(what) from error
        finally:
            self.close()

    def check_agreement(self) -> None:
        """Kernel and book hold the same, and threads of bound pods are enforced."""
        story = self.story
        assert story.lost() == []
        entries = story.daemon.book.entries()
        held = [(e, i, r) for e in entries for i, r in enumerate(e.reservations)]
        wanted = {group_of(e.pod.uid, i, r): r for e, i, r in held}
        present = self.groups()
        assert present.keys() == wanted.keys()
        for path, group in present.items():
            assert group.period * 1000 == wanted[path].server.period
            assert group.runtime * 1000 >= wanted[path].server.budget - 1000
        for entry in entries:
            started = story.daemon.enforcer.threads(entry.pod.uid)
            assert entry.phase is not Phase.BOUND or started, entry.pod.name
        assert self.written() == {entry.pod.uid for entry in entries}

    def check_emptiness(self) -> None:
        """Nothing of ours is left anywhere.

        A thread that was pinned by a process that died before it moved it keeps its pin: nothing
        tells that from an affinity of the container's own.
        """
        pinned = frozenset(SETTINGS.cpus)
        assert self.story.daemon.book.entries() == ()
        assert self.written() == set()
        assert self.groups() == {}
        for thread in self.kernel.threads.values():
            assert thread.policy == os.SCHED_OTHER
            assert thread.affinity in (self.kernel.cores, pinned)
            assert thread.cgroup == self.origins[thread.tid]

    def groups(self) -> dict[Path, Group]:
        """Ours; the one by which a daemon tries the kernel has no budget."""
        ours = {p: g for p, g in self.kernel.groups.items() if p.name.startswith("rt-")}
        probe = ours.pop(CPU / "rt-probe", None)
        assert probe is None or probe.runtime == 0
        return ours

    def written(self) -> set[str]:
        return {key.removeprefix("pod/") for key in self.disk.texts if key.startswith("pod/")}


def group_of(pod_uid: str, index: int, reservation: Reservation) -> Path:
    number = reservation.group
    return CPU / (f"rt-{pod_uid}-{index}" if number is None else f"rt-shared-{number}")


def tell(points: Points) -> Stage:
    """The whole story, with whatever happens at its points."""
    stage = Stage(points)
    for step in stage.story.steps():
        step()
    stage.close()
    return stage


def all_points() -> list[str]:
    points = Points()
    stage = tell(points)
    stage.check_emptiness()
    return points.names


def test_the_story_meets_every_kind_of_write() -> None:
    names = all_points()

    kinds = {name.split("=")[0].split(" ")[0] for name in names}
    assert kinds == {
        "affinity",
        "cpu.cfs_period_us",
        "cpu.cfs_quota_us",
        "cpu.rt_period_us",
        "cpu.rt_runtime_us",
        "cpu.shares",
        "mkdir",
        "policy",
        "rmdir",
        "store",
        "tasks",
    }
    assert len(names) > 30


def kill_at_each(names: Sequence[str], kind: type[Stage]) -> None:
    """Kill the story's daemon at each of its writes in turn, and start another."""
    for number, name in enumerate(names, start=1):
        stage = kind(Points(at=number, fault=die))
        with suppress(KilledError):
            for step in stage.story.steps():
                step()
        stage.story.restart()
        stage.must_end_well(f"killed at write {number}, {name}")


def refuse_each(names: Sequence[str], kind: type[Stage], error: int) -> None:
    """Refuse each of the story's writes in turn."""

    def refuse(what: str) -> None:
        if what.startswith("store"):
            raise UnavailableError(f"disk full at {what}")
        raise OSError(error, os.strerror(error))

    for number, name in enumerate(names, start=1):
        stage = tell_through(kind(Points(at=number, fault=refuse)))
        stage.must_end_well(f"refused at write {number}, {name}")


def test_killed_at_any_write_nothing_is_leaked_and_nothing_lost() -> None:
    kill_at_each(all_points(), Stage)


@pytest.mark.parametrize("error", [errno.EINVAL, errno.EBUSY, errno.EPERM, errno.EROFS])
def test_refused_at_any_write_it_goes_on_and_nothing_is_leaked_or_lost(error: int) -> None:
    refuse_each(all_points(), Stage, error)


def tell_through(stage: Stage) -> Stage:
    """The story of callers that repeat what failed, up to its height: two pods run."""
    height = 9
    for step in list(stage.story.steps())[:height]:
        insist(step)
    if stage.story.daemon.capability.problems:
        assert set(stage.story.statuses.values()) == {409}
        return stage
    for number in (1, 2):
        if stage.story.statuses.get(number) not in (200, 201):
            assert stage.story.statuses[number] == 503
            stage.story.reserve(number)
            stage.story.bind(number)
    stage.story.look()
    return stage


@pytest.mark.parametrize("error", [errno.EINVAL, errno.EBUSY, errno.EPERM, errno.EROFS])
def test_a_kernel_that_refuses_everything_is_503_with_the_cause(error: int) -> None:
    def refuse(what: str) -> None:
        if not what.startswith("store"):
            raise OSError(error, os.strerror(error))

    points = Points()
    stage = Stage(points)
    stage.story.boot()
    stage.story.open()
    points.__init__(fault=refuse, every=True)  # type: ignore[misc]  # from this moment on

    stage.story.reserve(1)
    stage.story.look()

    assert stage.story.statuses == {1: 503}
    assert os.strerror(error) in stage.story.texts[-1]
    assert stage.story.daemon.book.entries() == ()
    assert stage.written() == set()
    stage.close()


def test_a_full_disk_is_503_with_the_cause_and_leaves_the_kernel_clean() -> None:
    points = Points()
    stage = Stage(points)
    stage.story.boot()
    stage.story.open()
    stage.disk.broken = True

    stage.story.reserve(1)
    stage.story.look()

    assert stage.story.statuses == {1: 503}
    assert "the disk is full" in stage.story.texts[-1]
    stage.check_emptiness()
    stage.disk.broken = False
    stage.story.reserve(1)
    assert stage.story.statuses == {1: 201}
    stage.close()
