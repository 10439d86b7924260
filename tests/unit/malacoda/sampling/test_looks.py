"""When a sample may wait: glances at /proc/stat on a fake machine of two CPUs."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from daemons.malacoda.sampling.sampler import LONGEST_WAIT, Look, Sampler
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
        self.first = sample_of(self.sampler.look(closely=True))

    def look(self, spent: tuple[int, int], *, closely: bool = False, seconds: float = 0.1) -> Look:
        """A turn later."""
        self.clock.pass_seconds(seconds)
        self.machine.spend(1, *spent, of=10)
        return self.sampler.look(closely=closely)


def sample_of(look: Look) -> Counters:
    assert look.sample is not None
    return look.sample


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_quiet_node_has_a_sample_twice_a_second(scene: Scene) -> None:
    looks = [scene.look(QUIET).sample is not None for _ in range(20)]

    assert looks == 4 * [False, False, False, False, True]


def test_what_waited_is_seen_in_the_next_sample(scene: Scene) -> None:
    for _ in range(4):
        assert scene.look(QUIET) == Look()

    sample, turns = scene.look(QUIET)

    assert sample is not None
    metrics = metrics_between(scene.first, sample)
    assert turns == ()
    assert sample.at == 500 * NS_PER_MS
    assert (metrics[Metric.CPU_USER], metrics[Metric.CPU_SYSTEM]) == (0.5, 0.1)


@pytest.mark.parametrize("period", [0.1, 0.15, 0.23, 0.25, 0.3, 0.4, 0.45, 0.46, 0.5, 2.0])
@pytest.mark.parametrize("late", [0.0, 0.004, 0.04])
def test_no_sample_waits_longer_than_half_a_second_or_the_period(
    scene: Scene, period: float, late: float
) -> None:
    last, gaps = scene.first.at, []
    for number in range(60):
        jitter = (late, 0.0, -late)[number % 3]
        sample = scene.look(QUIET, seconds=period + jitter).sample
        if sample is not None:
            gaps.append(sample.at - last)
            last = sample.at

    longest = max(LONGEST_WAIT + 2 * late * 1e9, (period + late) * 1e9)
    assert max(gaps) <= longest


@pytest.mark.parametrize(
    ("period", "waits"), [(0.1, True), (0.27, True), (0.28, False), (2, False)]
)
def test_with_a_longer_period_nothing_waits(scene: Scene, period: float, waits: bool) -> None:
    samples = [scene.look(QUIET, seconds=period).sample for _ in range(10)]

    assert (None in samples) is waits


def test_with_a_close_look_nothing_waits(scene: Scene) -> None:
    looks = [scene.look(QUIET, closely=True) for _ in range(5)]

    assert all(look.sample is not None and look.turns == () for look in looks)


def test_what_begins_is_seen_at_once_and_with_the_turns_before_it(scene: Scene) -> None:
    for _ in range(3):
        scene.look(QUIET)

    sample, turns = scene.look(BUSY)

    assert sample is not None
    assert [turn.at for turn in turns] == [number * 100 * NS_PER_MS for number in range(4)]
    assert turns[0].stat == scene.first.stat
    assert sample.at == 400 * NS_PER_MS
    assert metrics_between(turns[2], turns[3])[Metric.CPU_SYSTEM] == pytest.approx(0.1)
    assert metrics_between(turns[3], sample)[Metric.CPU_SYSTEM] == pytest.approx(0.6)
    assert Metric.LOAD not in metrics_between(turns[2], turns[3])
    assert Metric.LOAD in metrics_between(turns[3], sample)


def test_the_turns_reach_back_over_the_last_sample(scene: Scene) -> None:
    for _ in range(7):
        scene.look(QUIET)

    sample, turns = scene.look(BUSY)

    assert sample is not None
    assert [turn.at // NS_PER_MS for turn in turns] == [300, 400, 500, 600, 700]


def test_what_begins_when_a_sample_is_due_has_its_turns_as_well(scene: Scene) -> None:
    for _ in range(4):
        scene.look(QUIET)

    assert len(scene.look(BUSY).turns) == 5


def test_what_begins_after_samples_that_did_not_wait_has_none(scene: Scene) -> None:
    assert scene.look(BUSY).turns == ()
    assert scene.look(BUSY).turns == ()
    scene.look(QUIET)
    assert len(scene.look(BUSY).turns) == 2, "those before are judged"
    assert scene.look(BUSY).turns == ()


def test_a_sample_out_of_turn_puts_off_none_that_is_due(scene: Scene) -> None:
    for spent in (QUIET, QUIET, BUSY, QUIET):
        scene.look(spent)

    assert scene.look(QUIET).sample is not None


def test_a_close_look_after_glances_has_their_turns(scene: Scene) -> None:
    scene.look(QUIET)

    assert len(scene.look(QUIET, closely=True).turns) == 2


def test_other_cpus_disturb_nobody(scene: Scene) -> None:
    scene.machine.spend(0, 0, 10, of=10)

    assert scene.look(QUIET) == Look()


@pytest.mark.parametrize("text", ["", "cpu what\n", "cpu  1 2 3\ncpu1 1 2 3\n", None])
def test_what_cannot_be_read_is_told_by_a_sample(scene: Scene, text: str | None) -> None:
    scene.look(QUIET)
    if text is None:
        (scene.root / "stat").unlink()
        scene.sampler.close()
    else:
        (scene.root / "stat").write_text(text)

    scene.clock.pass_seconds(0.1)
    sample, turns = scene.sampler.look(closely=False)

    assert sample is not None
    assert sample.stat is None
    assert len(turns) == 2
    assert scene.sampler.faults["stat"] == 1


def test_turns_of_which_one_is_garbled_are_left_out(scene: Scene) -> None:
    scene.machine.spend(1, *QUIET, of=10)
    text = (scene.root / "stat").read_text()
    (scene.root / "stat").write_text(text.replace("procs_running", "procs_walking"))
    scene.clock.pass_seconds(0.1)
    assert scene.sampler.look(closely=False) == Look()

    sample, turns = scene.look(BUSY)

    assert sample is not None
    assert sample.stat is not None
    assert turns == ()


def test_after_a_sample_without_cpu_times_none_waits(scene: Scene) -> None:
    text = (scene.root / "stat").read_text()
    (scene.root / "stat").write_text("")
    scene.sampler.look(closely=False)
    (scene.root / "stat").write_text(text)

    assert scene.look(QUIET).sample is not None
    assert scene.look(QUIET) == Look()


def test_a_cpu_that_stands_still_is_not_quiet(scene: Scene) -> None:
    assert scene.look((0, 0)) == Look()
    scene.clock.pass_seconds(0.1)

    assert scene.sampler.look(closely=False).sample is not None


def test_a_cpu_that_is_offline_keeps_the_others_from_nothing(tmp_path: Path) -> None:
    machine, clock = FakeMachine(tmp_path, cpus=2), FakeClock()
    sampler = Sampler(cpus={1, 7}, clock=clock, root=tmp_path)
    sampler.look(closely=True)

    clock.pass_seconds(0.1)
    machine.spend(1, *QUIET, of=10)

    assert sampler.look(closely=False) == Look()
