from fractions import Fraction

import pytest

from daemons.malacoda.actuator.holds import Write
from daemons.malacoda.actuator.plan import PodCgroup, find_pod, plan_freeze, plan_throttle
from daemons.malacoda.actuator.protocol import Refusal
from tests.fakes.malacoda.kernel import CONTAINER, FakeKernel, uid

QUOTA = Fraction(1, 10)


def found(kernel: FakeKernel, number: int = 1) -> PodCgroup:
    pod = find_pod(kernel, "/", uid(number))
    assert isinstance(pod, PodCgroup), pod
    return pod


@pytest.mark.parametrize("unified", [False, True])
@pytest.mark.parametrize("driver", ["cgroupfs", "systemd"])
@pytest.mark.parametrize("qos", ["burstable", "besteffort"])
def test_a_pod_is_found_by_its_uid_under_both_drivers(
    unified: bool,
    driver: str,
    qos: str,
) -> None:
    kernel = FakeKernel(unified=unified, driver=driver)
    path = kernel.pod(uid(1), qos)

    pod = found(kernel)

    assert pod.cpu == (path if unified else f"cpu,cpuacct/{path}")
    assert pod.freezer == (path if unified else f"freezer/{path}")
    assert pod.unified is unified


def test_no_other_pod_is_found() -> None:
    kernel = FakeKernel()
    kernel.pod(uid(1))

    assert find_pod(kernel, "/", uid(2)) is Refusal.UNKNOWN_POD
    assert find_pod(kernel, "/elsewhere", uid(1)) is Refusal.UNKNOWN_POD


def test_a_guaranteed_pod_is_left_alone() -> None:
    kernel = FakeKernel()
    kernel.pod(uid(1), "")

    assert find_pod(kernel, "/", uid(1)) is Refusal.GUARANTEED


def test_two_cgroups_of_one_uid_are_nobodys() -> None:
    kernel = FakeKernel()
    kernel.pod(uid(1), "burstable")
    kernel.pod(uid(1), "besteffort")

    assert find_pod(kernel, "/", uid(1)) is Refusal.AMBIGUOUS


def test_a_machine_without_cgroups_has_no_controller() -> None:
    kernel = FakeKernel()
    kernel.files.clear()

    assert find_pod(kernel, "/", uid(1)) is Refusal.NO_CONTROLLER


def test_v1_lowers_the_pod_alone_where_its_containers_have_no_quota() -> None:
    kernel = FakeKernel()
    path = kernel.pod(uid(1))

    plan = plan_throttle(kernel, found(kernel), QUOTA)

    assert plan == (Write(path=f"cpu,cpuacct/{path}/cpu.cfs_quota_us", before="-1", after="10000"),)


def test_v1_lowers_containers_with_larger_quotas_first() -> None:
    kernel = FakeKernel()
    path = kernel.pod(uid(1), limit=60, containers=2)
    kernel.container(path, 7, limit=5)

    plan = plan_throttle(kernel, found(kernel), QUOTA)

    assert isinstance(plan, tuple)
    assert [write.path.split("/")[-2] for write in plan] == [
        "0" + CONTAINER[1:],
        "1" + CONTAINER[1:],
        f"pod{uid(1)}",
    ]
    assert [(write.before, write.after) for write in plan] == [
        ("30000", "10000"),
        ("30000", "10000"),
        ("60000", "10000"),
    ]


def test_v2_lowers_the_pod_alone() -> None:
    kernel = FakeKernel(unified=True)
    path = kernel.pod(uid(1), limit=60, containers=2)

    plan = plan_throttle(kernel, found(kernel), QUOTA)

    assert plan == (Write(path=f"{path}/cpu.max", before="60000 100000", after="10000 100000"),)


@pytest.mark.parametrize("unified", [False, True])
def test_a_burst_above_the_quota_is_taken_away_first(unified: bool) -> None:
    kernel = FakeKernel(unified=unified)
    kernel.pod(uid(1))
    pod = found(kernel)
    name = "cpu.max.burst" if unified else "cpu.cfs_burst_us"
    kernel.files[pod.cpu][name] = "50000"

    plan = plan_throttle(kernel, pod, QUOTA)

    assert isinstance(plan, tuple)
    assert plan[0] == Write(path=f"{pod.cpu}/{name}", before="50000", after="0")
    for write in plan:
        kernel.write(write.path, write.after)


@pytest.mark.parametrize("unified", [False, True])
def test_a_period_in_which_the_quota_is_too_short_is_made_longer(unified: bool) -> None:
    kernel = FakeKernel(unified=unified)
    kernel.pod(uid(1), containers=0)
    pod = found(kernel)
    if unified:
        kernel.files[pod.cpu]["cpu.max"] = "max 5000"
    else:
        kernel.files[pod.cpu]["cpu.cfs_period_us"] = "5000"

    plan = plan_throttle(kernel, pod, QUOTA)

    assert isinstance(plan, tuple)
    for write in plan:
        kernel.write(write.path, write.after)
    assert kernel.quota(pod.cpu.removeprefix("cpu,cpuacct/")).split()[0] == "10000"


@pytest.mark.parametrize("unified", [False, True])
@pytest.mark.parametrize("limit", [10, 4])
def test_a_pod_whose_quota_is_as_low_already_is_not_throttled(unified: bool, limit: int) -> None:
    kernel = FakeKernel(unified=unified)
    kernel.pod(uid(1), limit=limit)

    assert plan_throttle(kernel, found(kernel), QUOTA) is Refusal.ALREADY_LOWER


@pytest.mark.parametrize("unified", [False, True])
def test_a_pod_is_frozen_as_a_whole_and_once(unified: bool) -> None:
    kernel = FakeKernel(unified=unified)
    path = kernel.pod(uid(1))

    plan = plan_freeze(kernel, found(kernel))

    assert isinstance(plan, tuple)
    (write,) = plan
    kernel.write(write.path, write.after)
    assert kernel.frozen(path)
    assert plan_freeze(kernel, found(kernel)) is Refusal.ALREADY_FROZEN


def test_without_files_there_is_no_controller() -> None:
    kernel = FakeKernel()
    kernel.pod(uid(1))
    pod = found(kernel)
    kernel.files[pod.cpu].clear()
    kernel.files[pod.freezer or ""].clear()

    assert plan_throttle(kernel, pod, QUOTA) is Refusal.NO_CONTROLLER
    assert plan_freeze(kernel, pod) is Refusal.NO_CONTROLLER
    assert (
        plan_freeze(kernel, PodCgroup(cpu=pod.cpu, freezer=None, cpuset=None, unified=False))
        is Refusal.NO_CONTROLLER
    )


@pytest.mark.parametrize("shape", ["wide", "deep"])
def test_a_pod_with_too_many_cgroups_is_refused_not_searched_for_ever(shape: str) -> None:
    kernel = FakeKernel()
    path = kernel.pod(uid(1), limit=50)
    if shape == "wide":
        for number in range(513):
            kernel.container(path, number)
    else:
        inner = "/".join(f"g{depth}" for depth in range(20))
        for depth in range(1, 21):
            kernel._make(f"{path}/{'/'.join(inner.split('/')[:depth])}")

    assert plan_throttle(kernel, found(kernel), QUOTA) is Refusal.TOO_MANY_CGROUPS


def test_of_a_huge_pod_no_more_cgroups_are_read_than_the_limit() -> None:
    kernel = FakeKernel()
    path = kernel.pod(uid(1), limit=50, containers=0)
    for group in range(4):
        kernel._make(f"{path}/g{group}")
        for number in range(200):
            kernel._make(f"{path}/g{group}/{number}")
    pod = found(kernel)
    read: list[str] = []
    directories = kernel.directories

    def counted(place: str) -> tuple[str, ...]:
        read.append(place)
        return directories(place)

    kernel.directories = counted  # type: ignore[method-assign]  # it counts

    assert plan_throttle(kernel, pod, QUOTA) is Refusal.TOO_MANY_CGROUPS
    assert len(read) < 520
