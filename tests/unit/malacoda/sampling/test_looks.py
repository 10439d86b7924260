"""When a sample may wait: glances at /proc/stat on a fake machine of two CPUs, ten a second."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from daemons.malacoda.sampling.sampler import LOOK_EVERY, Sampler
from k40s.assurance.counters import Counters
from k40s.assurance.metrics import Metric, metrics_between
from k40s.units import NS_PER_MS
from tests.fakes.malacoda.machine import FakeMachine
from tests.fakes.malacoda.world import FakeClock

QUIET, BUSY = (5, 1), (2, 6)
"""Ticks of ten that a CPU was in user mode and in the kernel."""


@dataclass
class Scene:
    """The CPU 1 is the node's."""

    root: Path
    clock: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.machine = FakeMachine(self.root, cpus=2)
        self.sampler = Sampler(cpus={1}, clock=self.clock, root=self.root)
        (self.first,) = self.sampler.look(closely=True)

    def look(self, spent: tuple[int, int], *, closely: bool = False) -> tuple[Counters, ...]:
        """A tenth of a second later."""
        self.clock.pass_seconds(0.1)
        self.machine.spend(1, *spent, of=10)
        return self.sampler.look(closely=closely)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_quiet_node_is_looked_at_twice_a_second(scene: Scene) -> None:
    looks = [len(scene.look(QUIET)) for _ in range(20)]

    assert looks == 4 * [0, 0, 0, 0, 1]


def test_what_waited_is_seen_in_the_next_sample(scene: Scene) -> None:
    (sample,) = [one for _ in range(5) for one in scene.look(QUIET)]

    metrics = metrics_between(scene.first, sample)
    assert sample.at - scene.first.at >= LOOK_EVERY
    assert (metrics[Metric.CPU_USER], metrics[Metric.CPU_SYSTEM]) == (0.5, 0.1)


def test_with_a_close_look_nothing_waits(scene: Scene) -> None:
    assert [len(scene.look(QUIET, closely=True)) for _ in range(5)] == 5 * [1]


def test_what_begins_is_seen_at_once_and_apart_from_the_quiet_before_it(scene: Scene) -> None:
    for _ in range(3):
        scene.look(QUIET)

    before, sample = scene.look(BUSY)

    assert (before.at, sample.at) == (300 * NS_PER_MS, 400 * NS_PER_MS)
    assert metrics_between(scene.first, before)[Metric.CPU_SYSTEM] == pytest.approx(0.1)
    assert metrics_between(before, sample)[Metric.CPU_SYSTEM] == pytest.approx(0.6)
    assert Metric.LOAD not in metrics_between(scene.first, before)
    assert Metric.LOAD in metrics_between(before, sample)


def test_what_begins_when_a_sample_is_due_is_apart_as_well(scene: Scene) -> None:
    for _ in range(4):
        scene.look(QUIET)

    assert len(scene.look(BUSY)) == 2


def test_what_begins_right_after_a_sample_is_one_sample(scene: Scene) -> None:
    (sample,) = scene.look(BUSY)

    assert metrics_between(scene.first, sample)[Metric.CPU_SYSTEM] == pytest.approx(0.6)


def test_other_cpus_disturb_nobody(scene: Scene) -> None:
    scene.machine.spend(0, 0, 10, of=10)

    assert scene.look(QUIET) == ()


@pytest.mark.parametrize("text", ["", "cpu what\n", "cpu  1 2 3\ncpu1 1 2 3\n", None])
def test_what_cannot_be_read_is_told_by_a_sample(scene: Scene, text: str | None) -> None:
    scene.look(QUIET)
    if text is None:
        (scene.root / "stat").unlink()
        scene.sampler.close()
    else:
        (scene.root / "stat").write_text(text)

    scene.clock.pass_seconds(0.1)
    (sample,) = scene.sampler.look(closely=False)

    assert sample.stat is None
    assert scene.sampler.faults["stat"] == 1


def test_after_a_sample_without_cpu_times_none_waits(scene: Scene) -> None:
    text = (scene.root / "stat").read_text()
    (scene.root / "stat").write_text("")
    scene.sampler.look(closely=False)
    (scene.root / "stat").write_text(text)

    assert len(scene.look(QUIET)) == 1
    assert scene.look(QUIET) == ()


def test_a_cpu_that_stands_still_is_not_quiet(scene: Scene) -> None:
    assert len(scene.look((0, 0))) == 0
    scene.clock.pass_seconds(0.1)

    assert len(scene.sampler.look(closely=False)) == 2
