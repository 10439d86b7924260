from k40s.cpu.bands import Band
from k40s.cpu.model import ContainerDemand, Reservation, Server, Task
from k40s.cpu.priorities import dense_bands, urgency_order
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


def test_bands_are_dense_and_disjoint_from_98_down() -> None:
    assert list(dense_bands([(1, 0), (0,), (2, 0, 1)])) == [(97, 98), (96,), (94, 93, 95)]


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
