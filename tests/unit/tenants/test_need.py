"""What a pod counts for its tenant."""

from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType

from k40s.cpu.model import Mechanism
from k40s.cpu.workload import TaskContract, WcetTable, Workload
from k40s.criticality import Criticality
from k40s.tenants.need import need_of
from k40s.units import NS_PER_MS, Nanoseconds

_SOON = Nanoseconds(2 * NS_PER_MS)


def task(wcet: WcetTable, period_ms: int = 10) -> TaskContract:
    period = Nanoseconds(period_ms * NS_PER_MS)
    return TaskContract(name="t", container="c", period=period, deadline=period, wcet=wcet)


def bandwidth(*tasks: TaskContract) -> Fraction:
    workload = Workload(criticality=Criticality.LOW, tasks=tasks)
    return need_of(workload, uid="u", namespace="n").bandwidth


def test_each_task_counts_on_its_slowest_platform() -> None:
    ms = Nanoseconds(NS_PER_MS)
    table = WcetTable(by_platform=MappingProxyType({"fast": ms, "slow": Nanoseconds(3 * ms)}))

    assert bandwidth(task(table), task(table, 100)) == Fraction(33, 100)


def test_a_baseline_counts_as_it_stands() -> None:
    assert bandwidth(task(WcetTable(baseline=Nanoseconds(NS_PER_MS)))) == Fraction(1, 10)


def test_the_sum_is_rounded_up() -> None:
    third = task(WcetTable(baseline=Nanoseconds(NS_PER_MS)), 3)

    assert bandwidth(third, third) == Fraction(666_666_667, 10**9)


def test_a_task_counts_by_its_deadline_where_a_node_may_reserve_that() -> None:
    soon = replace(task(WcetTable(baseline=Nanoseconds(NS_PER_MS))), deadline=_SOON)

    def counted(mechanism: Mechanism | None) -> Fraction:
        workload = Workload(criticality=Criticality.LOW, tasks=(soon,), mechanism=mechanism)
        return need_of(workload, uid="u", namespace="n").bandwidth

    assert counted(None) == counted(Mechanism.DEADLINE) == Fraction(1, 2)
    assert counted(Mechanism.RT_CGROUP) == Fraction(1, 10)


def test_a_pod_without_tasks_counts_no_bandwidth() -> None:
    assert bandwidth() == 0
