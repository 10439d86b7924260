"""The DEADLINE back end on cgroup v2: pods as partitions, and a shared root domain."""

import pytest

from localcluster.guest.kernels import REMOTE_PARTITIONS, GuestKernel

FIRST = "pod00000000-0000-4000-8000-000000000001"
SECOND = "pod00000000-0000-4000-8000-000000000002"
THIRD = "pod00000000-0000-4000-8000-000000000003"


@pytest.fixture
def remote(kernel: GuestKernel) -> None:
    if kernel.version < REMOTE_PARTITIONS:
        pytest.skip(f"Linux {kernel.release} has no remote partitions; 6.7 and newer have")


@pytest.fixture
def found(facts: dict[str, object], remote: None) -> dict[str, object]:
    del remote
    begin = "deadline-"
    return {n.removeprefix(begin): v for n, v in facts.items() if n.startswith(begin)}


def test_a_node_that_can_spare_a_cpu_offers_exclusive_cores(found: dict[str, object]) -> None:
    assert found["offer"] == ["exclusive", pytest.approx(0.9, abs=0.051), []]


def test_a_pod_is_held_in_its_partition(found: dict[str, object]) -> None:
    assert (found["claim"], found["partition"], found["enforced"]) == ("", "root", "")
    assert (found["policy"], found["cpus"]) == (True, [1])
    assert found["share"] == pytest.approx(0.30, abs=0.05)


def test_a_core_has_one_pod_at_a_time(found: dict[str, object]) -> None:
    assert found["second-claim"] == f"CPU 1 is the partition of {FIRST}"
    assert str(found["second-provide"]).startswith(f"{SECOND}/cpuset.cpus.exclusive")


def test_a_new_process_knows_the_threads_again_and_releases_them(found: dict[str, object]) -> None:
    assert found["known-again"] is True
    assert (found["released"], found["policy-after"]) == (True, False)
    assert (found["cpus-after"], found["partition-after"]) == ([0, 1], "member")
    assert found["left"] == ""


def test_a_free_core_goes_to_the_next_pod(found: dict[str, object]) -> None:
    assert (found["then-second"], found["second-partition"]) == ("", "root")


def test_a_deleted_pod_leaves_nothing_behind(found: dict[str, object]) -> None:
    assert (found["gone-released"], found["gone-left"]) == (True, "")


def test_a_partition_without_a_reservation_is_undone(found: dict[str, object]) -> None:
    assert found["swept"] == [[f"partition {THIRD}", True]]
    assert found["swept-partition"] == "member"


def test_a_node_that_cannot_spare_a_cpu_offers_one_domain(found: dict[str, object]) -> None:
    assert found["shared-offer"] == [
        "shared",
        2,
        ["exclusive partitions need a CPU besides those of K40S_CPUS"],
    ]
    assert found["shared-no-leak"] == ["", True]
    room = found["shared-room"]
    assert isinstance(room, list)
    assert room[:2] == ["", ""]
    assert "no room" in room[2]
