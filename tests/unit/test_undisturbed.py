"""What a measurement beside a disturbing host counts for; the heartbeats need a real kernel."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.kernel.undisturbed import Host, undisturbed


def measured(*values: float, host: float = 0.0) -> tuple[float, int]:
    """What is concluded of these values in turn, and from how many; right is 10, give or take 1."""
    taken = []

    def measure() -> float:
        taken.append(values[len(taken)])
        return taken[-1]

    def holds(found: float, took: float) -> bool:
        return abs(found - 10) <= 1 + took

    return undisturbed(measure, holds, watch=host_that_takes(host)), len(taken)


def host_that_takes(seconds: float) -> Callable[[], AbstractContextManager[Host]]:
    @contextmanager
    def watch() -> Iterator[Host]:
        yield Host(stolen=seconds / 2, stalled=seconds / 2)

    return watch


@pytest.mark.parametrize("host", [0.0, 5.0])
def test_what_is_right_counts_at_once(host: float) -> None:
    assert measured(10.5, host=host) == (10.5, 1)


def test_what_is_wrong_for_no_reason_counts_when_it_comes_again() -> None:
    assert measured(20, 21) == (21, 2)
    assert measured(20, 10) == (10, 2)


def test_what_is_wrong_by_more_than_the_host_took_counts_as_well() -> None:
    assert measured(20, 21, host=5) == (21, 2)


def test_what_the_host_may_have_done_is_measured_again() -> None:
    assert measured(14, 13, 10, host=5) == (10, 3)


def test_what_is_wrong_for_no_reason_between_disturbed_ones_has_not_come_again() -> None:
    assert measured(20, 14, 20, 14, 10, host=5) == (10, 5)


def test_a_host_that_always_disturbs_is_told_in_a_skip() -> None:
    with pytest.raises(pytest.skip.Exception, match=r"by 5\.00, .*; the last: 14"):
        measured(*[14] * 8, host=5)
