"""HRTICK_DL and the measurement of overruns, on the kernel that runs the tests.

Where that kernel is locked, its refusal has to be loud and clear; where it is not, the feature is
switched on for a moment and restored.
"""

import os
import signal
import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import pytest

from daemons.rubicante.kernel.probes.hog import LinuxHog, Load
from daemons.rubicante.kernel.probes.sleeper import LinuxSleeper
from daemons.rubicante.kernel.sched_attr import LinuxAttributes
from daemons.rubicante.kernel.sched_features import SchedFeatures
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.kernel.usage import stolen_from
from daemons.rubicante.mechanisms.deadline.discovery import read_bandwidths
from daemons.rubicante.mechanisms.timer.hrtick import FeatureState, HrtickFeature
from daemons.rubicante.mechanisms.timer.marks import Marks
from daemons.rubicante.mechanisms.timer.overrun_probe import BUDGET, PERIOD
from daemons.rubicante.mechanisms.timer.probes import ProbePrograms, Probes
from daemons.rubicante.mechanisms.timer.wake_probe import SLEEPER
from tests.kernel.conftest import CPU, eventually
from tests.kernel.deadline_scene import PREFIX, PROC, alone, debugfs

SYSTEM = LinuxSystem()


@pytest.fixture
def debug(tmp_path: Path) -> Iterator[Path]:
    with debugfs(tmp_path / "debug") as directory:
        yield directory


def feature(debug: Path) -> HrtickFeature:
    return HrtickFeature(
        features=SchedFeatures(system=SYSTEM, debug=debug),
        marks=Marks(system=SYSTEM, top=CPU, prefix=PREFIX),
        permitted=True,
    )


def test_it_is_on_with_permission_or_the_kernels_refusal_is_named(debug: Path) -> None:
    one = feature(debug)
    before = one.read()
    try:
        found = one.begin(in_use=False)
        marked = one.is_marked()
    finally:
        cause = one.put_back()

    assert cause == ""
    assert not (CPU / f"{PREFIX}-hrtick").exists()
    if found.state is FeatureState.ON:
        assert marked is (before.state is FeatureState.OFF)
        assert one.read().state is before.state
    else:
        assert not marked
        assert str(debug / "features") in found.cause or "has no scheduler feature" in found.cause
        assert "EPERM" in found.cause or found.state is FeatureState.ABSENT


def test_a_hog_stands_still_until_it_may_go() -> None:
    with LinuxHog(Load.CALLS, os.sched_getaffinity(0)) as hog:
        before = hog.used()
        time.sleep(0.02)
        stood = hog.used() - before
        hog.go()
        eventually(lambda: hog.used() - before > BUDGET)
        hog.stop()
        eventually(hog.is_stopped)

    assert stood == 0
    with pytest.raises(ProcessLookupError):
        os.kill(hog.tid, 0)


def bandwidth(debug: Path) -> dict[int, Fraction]:
    return {cpu: one.total for cpu, one in read_bandwidths(SYSTEM, debug).items()}


@pytest.fixture
def started() -> list[int]:
    """The processes that a measurement has started."""
    return []


@pytest.fixture
def programs(started: list[int]) -> ProbePrograms:
    def start_hog(load: Load, where: AbstractSet[int]) -> LinuxHog:
        hog = LinuxHog(load, where)
        started.append(hog.tid)
        return hog

    def start_sleeper(where: AbstractSet[int], *, on: int) -> LinuxSleeper:
        sleeper = LinuxSleeper(where, on=on)
        started.append(sleeper.tid)
        return sleeper

    return ProbePrograms(start_hog=start_hog, start_sleeper=start_sleeper)


@pytest.mark.parametrize("ends_budgets", [True, False])
def test_the_measurement_leaves_no_bandwidth_and_no_process(
    debug: Path, programs: ProbePrograms, started: list[int], ends_budgets: bool
) -> None:
    probes = Probes(
        attributes=LinuxAttributes(),
        programs=programs,
        stolen=lambda which: stolen_from(SYSTEM, PROC, which),
        wait=time.sleep,
        clock=time.monotonic,
        ends_budgets=lambda: ends_budgets,
    )
    with alone():
        before = bandwidth(debug)
        try:
            found = probes.measure(frozenset(os.sched_getaffinity(0)), lambda: True)
        except OSError as error:
            pytest.skip(f"no root domain of all CPUs here: {error}")
        eventually(lambda: bandwidth(debug) == before)

    for tid in started:
        with suppress(ProcessLookupError):
            os.kill(tid, 0)
            pytest.fail(f"process {tid} is still there")
    assert len(started) == len(Load) * (5 if ends_budgets else 4)
    assert set(found.overruns) == (set(Load) if ends_budgets else set())
    assert all(0 <= late < PERIOD for each in found.overruns.values() for late in each)
    assert [set(one) for one in found.wake_ups] == [set(Load)] * 2
    assert all(cost > 0 for one in found.wake_ups for each in one.values() for cost in each)


def test_a_sleeper_that_dies_as_deadline_is_an_error_and_leaves_no_bandwidth(debug: Path) -> None:
    cores = frozenset(os.sched_getaffinity(0))
    with alone():
        before = bandwidth(debug)
        with LinuxSleeper(cores, on=min(cores)) as sleeper:
            try:
                LinuxAttributes().set(sleeper.tid, SLEEPER)
            except OSError as error:
                pytest.skip(f"no root domain of all CPUs here: {error}")
            sleeper.sleep(2)
            os.kill(sleeper.tid, signal.SIGKILL)
            with pytest.raises(OSError, match=r"ended|Broken pipe"):
                sleeper.sleep(2)
        eventually(lambda: bandwidth(debug) == before)
