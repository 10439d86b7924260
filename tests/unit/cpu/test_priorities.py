import pytest

from k40s.cpu.admission.core_load import Band
from k40s.cpu.linux import LevelRange, dense_priorities, new_levels, urgency_order
from k40s.cpu.model import ContainerDemand, Reservation, Server, Task
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, Nanoseconds


def task(name: str, period: int, deadline: int | None = None, priority: int | None = None) -> Task:
    return Task(
        name=name,
        wcet=Nanoseconds(NS_PER_MS),
        period=Nanoseconds(period * NS_PER_MS),
        deadline=Nanoseconds((deadline or period) * NS_PER_MS),
        priority=priority,
    )


def test_the_shortest_deadline_is_most_urgent() -> None:
    assert urgency_order((task("a", 100), task("b", 50), task("c", 200, deadline=20))) == (2, 1, 0)


def test_stated_priorities_come_first_and_the_deadline_decides_among_equals() -> None:
    tasks = (
        task("a", 10),
        task("b", 300, priority=5),
        task("c", 100, priority=5),
        task("d", 900, priority=7),
    )

    assert urgency_order(tasks) == (3, 2, 1, 0)


def test_equal_tasks_keep_their_order() -> None:
    assert urgency_order((task("a", 10), task("b", 10))) == (0, 1)


def test_levels_become_dense_from_98_down_and_equal_ones_stay_equal() -> None:
    levels = [(90, 0), (70, 0), *new_levels(70, 2, 3), (70, 0), (60, 0)]

    assert dense_priorities(levels) == {
        (90, 0): 98,
        (70, 2): 97,
        (70, 1): 96,
        (70, 0): 95,
        (60, 0): 94,
    }


def test_the_least_urgent_tasks_share_the_last_level_where_levels_are_few() -> None:
    assert new_levels(50, 2, 4) == ((50, 2), (50, 1), (50, 1), (50, 1))
    assert new_levels(50, 9, 2) == ((50, 2), (50, 1))


def test_low_containers_have_half_of_the_levels_and_hi_all_but_one() -> None:
    levels = LevelRange()

    assert levels.free(Criticality.LOW, hi=0, low=0) == 24
    assert levels.free(Criticality.LOW, hi=0, low=24) == 0
    assert levels.free(Criticality.LOW, hi=40, low=5) == 3
    assert levels.free(Criticality.HI, hi=0, low=0) == 47
    assert levels.free(Criticality.HI, hi=3, low=24) == 21
    assert levels.free(Criticality.HI, hi=40, low=24) == 0


@pytest.mark.parametrize(("total", "below_hi"), [(1, 1), (4, 0), (4, 4), (49, 3)])
def test_a_range_without_levels_for_either_is_refused(total: int, below_hi: int) -> None:
    with pytest.raises(ValueError, match="levels are needed"):
        LevelRange(total=total, below_hi=below_hi)


def test_a_band_ranks_by_criticality_before_period() -> None:
    low = Band.of_demand(ContainerDemand(container="c", tasks=(task("a", 10),)), Criticality.LOW)
    high = Band.of_demand(ContainerDemand(container="c", tasks=(task("a", 900),)), Criticality.HI)
    faster = Band.of_demand(ContainerDemand(container="c", tasks=(task("a", 90),)), Criticality.HI)

    assert faster.rank < high.rank < low.rank


def test_a_held_band_keeps_the_order_of_its_priorities() -> None:
    reservation = Reservation(
        pod_uid="p",
        container="c",
        core=0,
        criticality=Criticality.LOW,
        server=Server(budget=Nanoseconds(1_000), period=Nanoseconds(2_000)),
        tasks=(task("a", 10), task("b", 50), task("c", 20)),
        priorities=(60, 70, 60),
    )

    band = Band.of_reservation(reservation)

    assert band.order == (1, 0, 2)
    assert band.tasks[0] == (1_120, 50_000, 50_000)
