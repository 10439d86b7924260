"""The processes that are measured with, as ordinary ones."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from daemons.rubicante.kernel.probes.hog import LinuxHog, Load
from daemons.rubicante.kernel.probes.sleeper import LinuxSleeper

CPUS = os.sched_getaffinity(0)
ONE = min(CPUS)


@pytest.fixture
def sleeper() -> Iterator[LinuxSleeper]:
    with LinuxSleeper(CPUS, on=ONE) as one:
        yield one


def is_there(tid: int) -> bool:
    try:
        os.kill(tid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_sleeper_tells_what_each_wake_up_cost(sleeper: LinuxSleeper) -> None:
    costs = sleeper.sleep(5)

    assert len(costs) == 5
    assert all(cost > 0 for cost in costs)
    assert sleeper.cpu() in CPUS
    assert os.sched_getaffinity(sleeper.tid) == CPUS


def test_a_sleeper_that_dies_is_an_error(sleeper: LinuxSleeper) -> None:
    os.kill(sleeper.tid, signal.SIGKILL)

    with pytest.raises(OSError, match=r"ended|Broken pipe"):
        sleeper.sleep(2)


@pytest.mark.parametrize("end", [signal.SIGCONT, signal.SIGSTOP, signal.SIGKILL])
def test_nothing_is_left_of_a_sleeper_in_any_state(end: signal.Signals) -> None:
    with LinuxSleeper(CPUS, on=ONE) as sleeper:
        os.kill(sleeper.tid, end)

    assert not is_there(sleeper.tid)


def test_a_cpu_that_does_not_exist_is_refused_and_leaves_nothing() -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        LinuxSleeper(CPUS, on=1 << 12)


def test_a_hog_is_stopped_until_it_may_go() -> None:
    with LinuxHog(Load.USER, {ONE}) as hog:
        before = hog.used()
        time.sleep(0.02)
        stood = hog.used() - before

    assert stood == 0
    assert not is_there(hog.tid)
