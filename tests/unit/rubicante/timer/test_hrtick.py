"""The scheduler feature HRTICK_DL: switched on with permission, restored, and shared."""

import errno
from pathlib import Path

import pytest

from daemons.rubicante.mechanisms.timer.hrtick import FeatureState, HrtickFeature
from tests.fakes.rubicante.domains import V2, DomainKernel
from tests.fakes.rubicante.faults import FaultySystem, Points
from tests.fakes.rubicante.features import FEATURES, OFF, ON, feature, is_on, kernel_with, marks


@pytest.fixture
def kernel() -> DomainKernel:
    return kernel_with(f"NO_HRTICK {OFF} TTWU_QUEUE")


def test_is_switched_on_with_permission_and_restored_at_the_end(kernel: DomainKernel) -> None:
    one = feature(kernel)

    began = one.begin(in_use=False)
    during = kernel.files[FEATURES]
    cause = one.put_back()

    assert (began.state, began.cause, cause) == (FeatureState.ON, "", "")
    assert during == f"NO_HRTICK {ON} TTWU_QUEUE"
    assert kernel.files[FEATURES] == f"NO_HRTICK {OFF} TTWU_QUEUE"
    assert marks(kernel) == set()


def test_is_left_alone_without_permission(kernel: DomainKernel) -> None:
    found = feature(kernel, permitted=False).begin(in_use=False)

    assert found.state is FeatureState.OFF
    assert kernel.writes == []
    assert marks(kernel) == set()


def test_what_somebody_else_has_switched_on_stays_on() -> None:
    kernel = kernel_with(ON)
    one = feature(kernel)

    found = one.begin(in_use=False)
    one.put_back()

    assert found.state is FeatureState.ON
    assert is_on(kernel)
    assert marks(kernel) == set()


def test_the_last_of_several_clusters_switches_it_off(kernel: DomainKernel) -> None:
    first, second = feature(kernel), feature(kernel, prefix="other")
    first.begin(in_use=False)
    second.begin(in_use=False)

    first.put_back()
    between = is_on(kernel)
    second.put_back()

    assert between
    assert not is_on(kernel)


def test_a_cluster_without_permission_keeps_what_another_has_switched_on_for_both(
    kernel: DomainKernel,
) -> None:
    first, second = feature(kernel), feature(kernel, prefix="other", permitted=False)
    first.begin(in_use=False)
    second.begin(in_use=True)

    first.put_back()

    assert is_on(kernel)
    assert marks(kernel) == {"other-hrtick"}


@pytest.mark.parametrize(("in_use", "stays"), [(False, False), (True, True)])
def test_permission_that_is_withdrawn_restores_what_no_reservation_counts_on(
    kernel: DomainKernel, in_use: bool, stays: bool
) -> None:
    feature(kernel).begin(in_use=False)

    feature(kernel, permitted=False).begin(in_use=in_use)

    assert is_on(kernel) is stays
    assert bool(marks(kernel)) is stays


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (errno.EPERM, "lockdown forbids it (EPERM)"),
        (errno.EROFS, "mounted read-only (EROFS)"),
    ],
)
def test_a_kernel_that_refuses_is_named_and_nothing_is_left(
    kernel: DomainKernel, error: int, text: str
) -> None:
    class Locked(DomainKernel):
        def write(self, path: Path, text: str) -> None:
            del path, text
            raise OSError(error, "refused")

    locked = Locked()
    locked.files, locked.folders = kernel.files, kernel.folders

    found = feature(locked).begin(in_use=False)

    assert found.state is FeatureState.OFF
    assert "K40S_HRTICK permits HRTICK_DL" in found.cause
    assert text in found.cause
    assert marks(locked) == set()


def test_a_kernel_that_does_not_do_as_it_says_is_found_out(kernel: DomainKernel) -> None:
    class Deaf(DomainKernel):
        def write(self, path: Path, text: str) -> None:
            del path, text

    deaf = Deaf()
    deaf.files, deaf.folders = kernel.files, kernel.folders

    found = feature(deaf).begin(in_use=False)

    assert found.state is FeatureState.OFF
    assert "is not on after a write" in found.cause


def test_a_kernel_without_the_feature_is_told_from_one_that_cannot_be_read() -> None:
    absent = feature(kernel_with("NO_HRTICK")).begin(in_use=False)
    closed = feature(DomainKernel()).begin(in_use=False)

    assert absent.state is FeatureState.ABSENT
    assert closed.state is FeatureState.UNREADABLE
    assert "debugfs is not mounted there" in closed.cause


def test_without_a_mark_nothing_is_switched_on(kernel: DomainKernel) -> None:
    kernel.refuse["make_directory"] = [OSError(errno.EROFS, "read-only")]

    found = feature(kernel).begin(in_use=False)

    assert "no cgroup k40s-rt-hrtick" in found.cause
    assert not is_on(kernel)


class KilledError(BaseException):
    """kill −9."""


def die(_what: str) -> None:
    raise KilledError


def lives(kernel: DomainKernel, points: Points) -> None:
    one = feature(kernel, system=FaultySystem(kernel, points))
    one.begin(in_use=False)
    one.put_back()


def count_writes() -> int:
    points = Points()
    lives(kernel_with(OFF), points)
    return len(points.names)


WRITES = count_writes()


def test_a_life_writes_four_times() -> None:
    assert WRITES == 4


@pytest.mark.parametrize("at", range(1, WRITES + 1))
@pytest.mark.parametrize("heir", [feature, lambda kernel: feature(kernel, permitted=False)])
def test_killed_at_any_write_the_next_process_restores(at: int, heir: object) -> None:
    kernel = kernel_with(OFF)
    with pytest.raises(KilledError):
        lives(kernel, Points(at=at, fault=die))

    assert callable(heir)
    one = heir(kernel)
    assert isinstance(one, HrtickFeature)
    one.begin(in_use=False)
    one.put_back()

    assert not is_on(kernel)
    assert marks(kernel) == set()


@pytest.mark.parametrize("at", range(1, WRITES + 1))
def test_killed_at_any_write_giving_back_restores(at: int) -> None:
    kernel = kernel_with(OFF)
    with pytest.raises(KilledError):
        lives(kernel, Points(at=at, fault=die))

    cause = feature(kernel).put_back()

    assert cause == ""
    assert not is_on(kernel)
    assert V2 / "k40s-rt-hrtick" not in kernel.folders
