"""What Debian's kernel, with cgroup v2 and no real-time groups, says to DEADLINE on one core."""

import pytest

from localcluster.guest.kernels import REMOTE_PARTITIONS, GuestKernel


@pytest.fixture
def remote(kernel: GuestKernel) -> None:
    if kernel.version < REMOTE_PARTITIONS:
        pytest.skip(f"Linux {kernel.release} has no remote partitions; 6.7 and newer have")


def test_this_kernel_has_no_budgets_for_real_time_groups(
    facts: dict[str, object], kernel: GuestKernel
) -> None:
    assert facts["release"] == kernel.release
    assert {"cpu", "cpuset"} <= set(facts["controllers"])  # type: ignore[call-overload]  # JSON
    assert facts["rt-budget-files"] == []


def test_a_thread_pinned_by_its_cpuset_alone_is_refused(facts: dict[str, object]) -> None:
    assert facts["pinned-without-partition"] == "EPERM"


def test_a_thread_pinned_in_a_partition_is_accepted(facts: dict[str, object]) -> None:
    assert facts["make-partition"] == "OK"
    assert facts["partition"] == "root"
    assert facts["pinned-in-partition"] == "OK"
    assert facts["others-left-with"] == "0"


def test_a_partition_counts_the_bandwidth_of_its_own_core(facts: dict[str, object]) -> None:
    # 0.95, of which newer kernels keep 0.05 for ordinary threads
    assert facts["capacity"] == [*["OK"] * 9, "EBUSY"]


def test_a_pod_becomes_a_partition_though_its_parents_are_none(
    facts: dict[str, object], remote: None
) -> None:
    del remote
    assert facts["exclusive-kubepods"] == facts["exclusive-pod"] == "OK"
    assert facts["make-remote"] == "OK"
    assert facts["remote"] == "root"
    assert facts["kubepods-is"] == "member"
    assert facts["container-in-remote"] == "OK"


def test_a_pod_that_is_no_partition_any_more_is_refused_again(
    facts: dict[str, object], remote: None
) -> None:
    del remote
    assert facts["unmake"] == "OK"
    assert facts["container-after"] == "EPERM"
