"""Where a core's priorities are used up, they are shared, and HI always finds some."""

from dataclasses import replace
from fractions import Fraction
from functools import partial

from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.core_load import Band, CoreLoad, NodeLoad, Search, bands_above
from k40s.cpu.admission.growth import grown_servers
from k40s.cpu.admission.schedulability import core_holds, node_holds
from k40s.cpu.analysis.response_time import ServerParameters
from k40s.cpu.effort import Effort
from k40s.cpu.linux import Level, LevelRange
from k40s.cpu.model import CpuNode, Reservation, Task
from k40s.cpu.outcome import Admission, Rejection
from k40s.reasons import Reason
from tests.unit.cpu.cpu_builders import HI, LOW, admitted, held, node, pod, refused, task

FEW = LevelRange(total=4, below_hi=2)
SEARCH = Search(FEW, Effort(1_000))
with_few = partial(admit, levels=FEW)


def tiny(count: int) -> list[Task]:
    """Tasks that cost next to nothing."""
    return [task(0.001, 3_600_000, name=f"t{number}") for number in range(count)]


def filled(current: CpuNode, count: int, levels: LevelRange = FEW) -> CpuNode:
    for number in range(count):
        demand = pod(f"low-{number}", [task(0.1, 1_000)])
        outcome = admit(current, demand, levels=levels)
        assert isinstance(outcome, Admission), outcome
        current = outcome.node
    return current


def levels_of(current: CpuNode) -> dict[str, tuple[int, ...]]:
    return {r.pod_uid: r.priorities for r in current.reservations}


def test_a_low_container_beyond_its_levels_shares_that_of_its_neighbour() -> None:
    current = filled(node(tick=0), 4)

    assert levels_of(current) == {
        "low-0": (98,),
        "low-1": (97,),
        "low-2": (97,),
        "low-3": (97,),
    }
    assert node_holds(current)


def test_the_least_urgent_tasks_of_a_container_share_its_last_level() -> None:
    tasks = [task(0.1, period, name=f"t{period}") for period in (1_000, 100, 500, 200)]

    outcome = with_few(node(tick=0), pod("low", tasks))

    assert isinstance(outcome, Admission)
    assert outcome.granted[0].priorities == (97, 98, 97, 97)


def test_levels_that_low_shares_are_below_those_of_hi() -> None:
    current = filled(node(tick=0), 6)

    for number in range(5):
        demand = pod(f"hi-{number}", [task(0.1, 1_000)], criticality=HI)
        outcome = with_few(current, demand)
        assert isinstance(outcome, Admission), outcome
        current = outcome.node

    low = {level for r in current.reservations for level in r.priorities if r.criticality is LOW}
    high = {level for r in current.reservations for level in r.priorities if r.criticality is HI}
    assert (low, high) == ({95, 96}, {97, 98})
    assert node_holds(current)


def test_hi_leaves_one_level_that_all_low_containers_share() -> None:
    current = node(tick=0)
    for number in range(4):
        demand = pod(f"hi-{number}", [task(0.1, 1_000)], criticality=HI)
        outcome = with_few(current, demand)
        assert isinstance(outcome, Admission), outcome
        current = outcome.node

    current = filled(current, 2)

    assert levels_of(current)["low-0"] == levels_of(current)["low-1"] == (95,)


def test_no_low_pod_takes_the_last_level_from_hi() -> None:
    current = admitted(node(tick=0), pod("l0", tiny(16), tiny(16))).node
    current = admitted(current, pod("l1", tiny(16), tiny(16))).node

    outcome = admitted(current, pod("hi", [task(20, 100)], criticality=HI))

    assert outcome.granted[0].priorities == (98,)


def test_a_priority_is_not_shared_where_a_deadline_would_be_missed() -> None:
    current = node(tick=0)
    for uid in ("a", "b"):
        outcome = with_few(current, pod(uid, [task(0.5, 500, 2)]))
        assert isinstance(outcome, Admission)
        current = outcome.node

    refusal = with_few(current, pod("long", [task(30, 900)]))

    assert isinstance(refusal, Rejection)
    assert refusal.reason is Reason.CPU_NO_PRIORITY


def test_servers_of_one_level_stand_above_each_other() -> None:
    def band(name: str, *levels: int) -> Band:
        tasks = tuple(task(1, 100, name=f"{name}{at}") for at in range(len(levels)))
        return Band.of_reservation(held(name, 1, 100, *tasks, priorities=levels))

    assert bands_above([band("a", 98, 97), band("b", 96)]) == ((), (0,))
    assert bands_above([band("a", 98), band("b", 97), band("c", 97)]) == (
        (),
        (0, 2),
        (0, 1),
    )
    assert bands_above([band("a", 98, 96), band("b", 97), band("c", 96)]) == (
        (1, 2),
        (0,),
        (0, 1),
    )


def test_what_shares_a_level_is_judged_as_interfering_both_ways() -> None:
    def server(uid: str, priority: int, deadline: float) -> Reservation:
        return held(uid, 20, 100, task(9, 100, deadline), priorities=(priority,))

    apart = node(server("a", 98, 15), server("b", 97, 90), tick=0)
    shared = apart.holding((server("a", 98, 15), server("b", 98, 90)))

    assert core_holds(apart, 0)
    assert not core_holds(shared, 0)


def test_a_departure_leaves_levels_as_they_are_and_the_next_arrival_uses_them() -> None:
    current = filled(node(tick=0), 5).without("low-1").without("low-0")

    after = with_few(current, pod("next", [task(0.1, 500)]))

    assert isinstance(after, Admission)
    assert levels_of(after.node)["next"] == (98,)
    assert {levels_of(after.node)[f"low-{n}"] for n in (2, 3, 4)} == {(97,)}


def load_of(*reservations: Reservation, tick: float) -> CoreLoad:
    return NodeLoad(node(*reservations, tick=tick)).on(0)


def entering(level: Level, budget: int, period: int) -> tuple[Band, ServerParameters]:
    band = Band.of_demand(pod("new", [task(1, 100)]).containers[0], LOW)
    return band.at((level,)), (budget, period)


def test_a_server_grows_beside_an_equal_one_that_holds_meanwhile() -> None:
    first = held("a", 2.606, 16.666, task(5.2, 50), task(26, 1_000), priorities=(98, 97))
    second = held("b", 1.25, 15.625, task(8.625, 125), priorities=(97,))

    grown = grown_servers(
        load_of(first, second, tick=0), (), entering((98, 1), 2_424, 16_666), SEARCH
    )

    assert grown == ((2_660, 16_666), (1_250, 15_625))


def test_servers_do_not_grow_where_one_would_be_late_until_it_has_grown_as_well() -> None:
    first = held("a", 5, 24, task(1.825, 25), task(0.99, 30), priorities=(98, 97))
    second = held("b", 0.854, 15, task(1.44, 60), priorities=(97,))
    apart = replace(second, priorities=(96,))
    newcomer = entering((97, 0), 3_875, 62_500)

    grown = [
        grown_servers(load_of(first, other, tick=1), (), newcomer, SEARCH)
        for other in (second, apart)
    ]

    assert grown == [None, ((7_110, 24_000), (4_120, 15_000))]


def test_a_cautious_search_finds_nothing_that_a_departure_from_shared_levels_ends() -> None:
    one = LevelRange(total=2, below_hi=1)
    equals = (
        held("a", 0.468, 33.333, task(0.815, 100), priorities=(98,)),
        held("b", 0.830, 66.666, task(0.710, 200, 73.265), priorities=(98,)),
        held("c", 1.888, 75.136, task(1.768, 80, 49.542), priorities=(98,)),
        held("gone", 1.134, 57.666, task(0.258, 30), priorities=(98,)),
    )
    full = node(*equals, tick=0, node_capacity=Fraction(7, 10))
    arriving = partial(admit, demand=pod("hi", [task(30, 100)], criticality=HI), levels=one)

    assert node_holds(full)
    assert isinstance(arriving(full.without("gone")), Rejection)
    assert isinstance(arriving(full), Admission)
    assert isinstance(arriving(full, cautious=True), Rejection)


def test_a_search_that_has_spent_its_effort_finds_nothing() -> None:
    first = held("a", 2.606, 16.666, task(5.2, 50), priorities=(98,))

    assert (
        grown_servers(
            load_of(first, tick=0), (), entering((98, 1), 10, 16_666), Search(FEW, Effort(0))
        )
        is None
    )


def test_a_core_that_is_full_of_low_tasks_takes_hi_ones() -> None:
    current = node(tick=0)
    for number in range(4):
        current = admitted(current, pod(f"l{number}", tiny(16))).node
    assert refused(current, pod("l", tiny(1))).reason is Reason.CPU_TOO_MANY_TASKS

    admitted(current, pod("hi", tiny(16), tiny(16), criticality=HI))
