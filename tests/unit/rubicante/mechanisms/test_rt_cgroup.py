"""Budget groups, on a fake kernel."""

import errno
from fractions import Fraction

import pytest

from daemons.rubicante.kernel.threads import FIFO
from daemons.rubicante.mechanisms.back_end import GroupName
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import BudgetGroups, move
from k40s.cpu.model import Server
from k40s.errors import KernelError
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.rubicante.kernel import CPU, FakeKernel
from tests.fakes.rubicante.world import uid

NAME = GroupName(pod_uid=uid(1), index=0)


def server(budget_ms: int, period_ms: int = 100) -> Server:
    return Server(
        budget=Nanoseconds(budget_ms * NS_PER_MS), period=Nanoseconds(period_ms * NS_PER_MS)
    )


def test_limits_ordinary_threads_then_writes_the_period_then_the_budget(
    system: FakeKernel, groups: BudgetGroups
) -> None:
    assert groups.ensure(NAME, server(30))

    assert [call[1:] for call in system.calls if call[0] == "write"] == [
        (groups.path(NAME) / "cpu.shares", "2"),
        (groups.path(NAME) / "cpu.cfs_period_us", "1000000"),
        (groups.path(NAME) / "cpu.cfs_quota_us", "1000"),
        (groups.path(NAME) / "cpu.rt_period_us", "100000"),
        (groups.path(NAME) / "cpu.rt_runtime_us", "30000"),
    ]


def test_what_is_as_it_should_be_is_not_written(system: FakeKernel, groups: BudgetGroups) -> None:
    groups.ensure(NAME, server(30))
    system.calls.clear()

    assert not groups.ensure(NAME, server(30))
    assert system.calls == []


def test_grows_a_live_group_and_never_shrinks_it(system: FakeKernel, groups: BudgetGroups) -> None:
    groups.ensure(NAME, server(20))
    tid = system.spawn(groups.path(NAME), "ctl")
    system.set_policy(tid, FIFO, 90)

    groups.ensure(NAME, server(30))
    groups.ensure(NAME, server(10))

    assert groups.server(NAME) == server(30)
    system.kill(tid)
    groups.ensure(NAME, server(10))
    assert groups.server(NAME) == server(10)


def test_never_changes_the_period_of_a_live_group(system: FakeKernel, groups: BudgetGroups) -> None:
    groups.ensure(NAME, server(20))
    system.set_policy(system.spawn(groups.path(NAME), "ctl"), FIFO, 90)

    with pytest.raises(KernelError, match="the period of a live group stays"):
        groups.ensure(NAME, server(20, 50))


def test_an_empty_group_takes_another_period(groups: BudgetGroups) -> None:
    groups.ensure(NAME, server(20))

    groups.ensure(NAME, server(20, 50))

    assert groups.server(NAME) == server(20, 50)


def test_einval_is_waited_out_for_half_a_second_when_patient(
    system: FakeKernel, groups: BudgetGroups, waits: list[float]
) -> None:
    system.lingering = [Fraction(95, 100)] * 1000

    with pytest.raises(KernelError, match="more than the parent has"):
        groups.ensure(NAME, server(20), patient=True)

    assert sum(waits) == pytest.approx(0.5, abs=0.01)


def test_einval_is_final_when_not_patient(
    system: FakeKernel, groups: BudgetGroups, waits: list[float]
) -> None:
    system.lingering = [Fraction(95, 100)]

    with pytest.raises(KernelError):
        groups.ensure(NAME, server(20))

    assert waits == []


def test_a_value_that_the_kernel_does_not_keep_is_a_failure(
    system: FakeKernel, groups: BudgetGroups
) -> None:
    path = groups.path(NAME)
    system.make_groups(path)
    system.files[path / "cpu.rt_period_us"] = "100000"
    system.files[path / "cpu.rt_runtime_us"] = "5"

    with pytest.raises(KernelError, match="the kernel kept 5"):
        groups.ensure(NAME, server(20))


def test_a_group_that_appears_meanwhile_is_used(system: FakeKernel, groups: BudgetGroups) -> None:
    system.make_groups(groups.path(NAME))

    assert groups.ensure(NAME, server(20))


def test_knows_nothing_of_a_group_that_is_absent(groups: BudgetGroups) -> None:
    assert groups.server(NAME) is None
    assert groups.members(NAME) == ()
    assert groups.remove(NAME)
    groups.idle(NAME)


def test_a_group_with_a_thread_is_not_removed(system: FakeKernel, groups: BudgetGroups) -> None:
    groups.ensure(NAME, server(20))
    system.spawn(groups.path(NAME), "ctl")

    assert not groups.remove(NAME)


def test_a_busy_group_is_tried_again_for_a_bounded_time(
    system: FakeKernel, groups: BudgetGroups, waits: list[float]
) -> None:
    groups.ensure(NAME, server(20))
    system.refuse["remove_directory"] = [OSError(errno.EBUSY, "busy")] * 100

    assert not groups.remove(NAME)
    assert sum(waits) < 0.2
    system.refuse.clear()
    assert groups.remove(NAME)


def test_another_error_on_removal_is_a_failure(system: FakeKernel, groups: BudgetGroups) -> None:
    groups.ensure(NAME, server(20))
    system.refuse["remove_directory"] = [OSError(errno.EPERM, "no")]

    with pytest.raises(KernelError, match="rmdir"):
        groups.remove(NAME)


def test_a_group_with_a_real_time_thread_cannot_be_idled(
    system: FakeKernel, groups: BudgetGroups
) -> None:
    groups.ensure(NAME, server(20))
    tid = system.spawn(groups.path(NAME), "ctl")
    system.set_policy(tid, FIFO, 90)

    with pytest.raises(KernelError, match="real-time threads inside"):
        groups.idle(NAME)


def test_lists_only_its_own_groups(system: FakeKernel, groups: BudgetGroups) -> None:
    for name in (f"rt-{uid(2)}-1", f"rt-{uid(2)}-01", f"rt-{uid(2)}", f"rt-a-{uid(2)}-0", "rt"):
        system.make_groups(CPU / name)

    assert groups.names() == (GroupName(pod_uid=uid(2), index=1),)


@pytest.mark.parametrize("name", ["../x", "", uid(1).upper().replace("0", "A"), uid(1) + "0"])
def test_a_name_is_a_uid_and_nothing_else(name: str) -> None:
    with pytest.raises(ValueError, match="not a pod UID"):
        GroupName(pod_uid=name, index=0)


def test_moving_a_dead_thread_is_no_failure(system: FakeKernel) -> None:
    assert not move(system, 4711, CPU)


def test_moving_a_real_time_thread_where_there_is_no_budget_is_one(
    system: FakeKernel, groups: BudgetGroups
) -> None:
    groups.ensure(NAME, server(20))
    tid = system.spawn(groups.path(NAME), "ctl")
    system.set_policy(tid, FIFO, 90)
    target = system.make_groups(CPU / "x")

    with pytest.raises(KernelError, match="moving thread"):
        move(system, tid, target)
