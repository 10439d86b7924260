from fractions import Fraction
from types import MappingProxyType

import pytest

from k40s.cpu.model import PodDemand
from k40s.cpu.workload import TaskContract, WcetTable, Workload, resolve
from k40s.criticality import Criticality
from k40s.reasons import Reason
from k40s.units import Nanoseconds
from tests.unit.cpu.cpu_builders import ms


def contract(wcet: WcetTable, container: str = "app", deadline: int = 100_000_999) -> TaskContract:
    return TaskContract(
        name="t",
        container=container,
        period=Nanoseconds(100_000_999),
        deadline=Nanoseconds(deadline),
        wcet=wcet,
        priority=3,
    )


def resolved(*contracts: TaskContract, factor: Fraction = Fraction(1)) -> PodDemand | Reason:
    workload = Workload(criticality=Criticality.LOW, tasks=contracts)
    return resolve(workload, pod_uid="p", platform="x86", factor=factor)


def table(**entries: Nanoseconds) -> WcetTable:
    return WcetTable(by_platform=MappingProxyType(entries))


def test_a_wcet_is_either_a_baseline_or_a_table() -> None:
    with pytest.raises(ValueError, match="either"):
        WcetTable()
    with pytest.raises(ValueError, match="either"):
        WcetTable(baseline=ms(1), by_platform=MappingProxyType({}))


def test_a_baseline_is_scaled_by_the_platform_and_rounded_up() -> None:
    baseline = WcetTable(baseline=Nanoseconds(10))

    assert baseline.on("any", Fraction(4, 3)) == 14


def test_a_table_is_neither_scaled_nor_guessed() -> None:
    assert table(x86=ms(5)).on("x86", Fraction(3)) == ms(5)
    assert table(x86=ms(5)).on("arm", Fraction(3)) is None


def test_resolving_rounds_to_microseconds_on_the_safe_side() -> None:
    demand = resolved(contract(WcetTable(baseline=Nanoseconds(1_001))))

    assert isinstance(demand, PodDemand)
    (task,) = demand.containers[0].tasks
    assert (task.wcet, task.period, task.deadline) == (2_000, 100_000_000, 100_000_000)
    assert task.priority == 3


def test_tasks_are_grouped_by_container_in_the_order_given() -> None:
    demand = resolved(
        contract(table(x86=ms(1)), "b"),
        contract(table(x86=ms(2)), "a"),
        contract(table(x86=ms(3)), "b"),
    )

    assert isinstance(demand, PodDemand)
    found = [(c.container, [t.wcet for t in c.tasks]) for c in demand.containers]
    assert found == [("b", [ms(1), ms(3)]), ("a", [ms(2)])]


def test_a_platform_without_a_wcet_is_a_reason() -> None:
    assert resolved(contract(table(arm=ms(1)))) is Reason.CPU_NO_WCET


def test_a_scaled_wcet_beyond_the_deadline_is_a_reason() -> None:
    late = contract(WcetTable(baseline=ms(40)), deadline=50_000_000)

    assert resolved(late, factor=Fraction(3, 2)) is Reason.CPU_NOT_SCHEDULABLE


def test_a_workload_is_real_time_when_it_has_tasks() -> None:
    assert Workload(criticality=Criticality.LOW, tasks=(contract(table()),)).is_real_time
    assert not Workload(criticality=Criticality.NO).is_real_time
