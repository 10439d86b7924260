"""Where mechanisms mix, what is admitted is never seen to miss, and the simulation could see it."""

from dataclasses import replace
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.sched_deadline import interference
from k40s.cpu.analysis.deferrable_server import most_consumed
from k40s.cpu.model import (
    ContainerDemand,
    CpuNode,
    DeadlineOffer,
    Domain,
    Mechanism,
    PodDemand,
    Task,
)
from k40s.cpu.outcome import Admission
from k40s.criticality import Criticality
from k40s.simulation.core import ENDLESS, SimTask
from k40s.simulation.edf import DeadlineSimulation, SimThread
from k40s.units import NS_PER_MS, Nanoseconds
from tests.oracles.pods import empty_node, random_large_pod, random_node
from tests.oracles.replay import Replay

EXAMPLES = settings().max_examples


def admitted(node: CpuNode, demand: PodDemand) -> CpuNode:
    outcome = admit(node, demand)
    return outcome.node if isinstance(outcome, Admission) else node


@pytest.mark.parametrize("tick_ms", [0, 1, 2, 4])
def test_no_sequence_of_arrivals_and_departures_misses_a_deadline(tick_ms: int) -> None:
    jobs = sets = contained = 0

    @settings(max_examples=max(15, EXAMPLES // 5))
    @given(st.integers(0, 2**32))
    def check(seed: int) -> None:
        nonlocal jobs, sets, contained
        chance = Random(seed)
        node = random_node(chance, tick_ms)
        replay = Replay(node, chance)
        for number in range(8):
            if node.reservations and chance.random() < 0.3:
                node = node.without(chance.choice(node.reservations).pod_uid)
                replay.follow(node)
                replay.run(chance.randrange(1, 300_000))
            after = admitted(node, random_large_pod(chance, f"p{number}", len(node.cores)))
            sets += after is not node
            node = after
            replay.follow(node)
            contained += len(replay.contained)
            replay.run(chance.randrange(100_000, 1_000_000))
        replay.finish()
        jobs += replay.finished
        assert replay.misses == []

    check()

    assert sets > max(15, EXAMPLES // 5)
    assert jobs > 30 * sets
    assert contained > sets // 5


def partitioned(node: CpuNode, tick_ms: int) -> CpuNode:
    offer = DeadlineOffer(
        tick=Nanoseconds(tick_ms * NS_PER_MS),
        capacity=Fraction(9, 10),
        domain=Domain.PARTITIONED,
    )
    return replace(node, deadline=offer)


def asking(demand: PodDemand, mechanism: Mechanism) -> PodDemand:
    return replace(demand, mechanism=mechanism)


def short(chance: Random, uid: str) -> PodDemand:
    """A pod of one thread with a fifth to a third of a core and a period near 10 ms."""
    period = chance.choice((8, 9, 10, 12)) * NS_PER_MS
    task = Task(
        name="t",
        wcet=Nanoseconds(period * chance.randrange(20, 35) // 100_000 * 1_000),
        period=Nanoseconds(period),
        deadline=Nanoseconds(period),
    )
    return PodDemand(
        pod_uid=uid,
        criticality=Criticality.LOW,
        containers=(ContainerDemand(container="c", tasks=(task,)),),
        mechanism=Mechanism.DEADLINE,
    )


def misses(node: CpuNode, chance: Random) -> bool:
    replay = Replay(node, chance, tick=4_000)
    replay.follow(node)
    replay.run(2_000_000)
    replay.finish()
    return bool(replay.misses)


def test_without_the_blocking_of_others_overruns_misses_are_found() -> None:
    found = 0

    for seed in range(40):
        chance = Random(seed)
        node = partitioned(empty_node(4), tick_ms=0)
        for number in range(3):
            node = admitted(node, short(chance, f"p{number}"))
        found += misses(node, chance)

    assert found >= 3


def test_without_the_interference_of_deadline_threads_misses_are_found() -> None:
    found = 0

    for seed in range(40):
        chance = Random(seed)
        empty = partitioned(empty_node(4), tick_ms=4)
        parts = dict.fromkeys(Mechanism, empty)
        for number in range(6):
            mechanism = chance.choice(tuple(Mechanism))
            demand = asking(random_large_pod(chance, f"p{number}", 1), mechanism)
            parts[mechanism] = admitted(parts[mechanism], demand)
        both = [held for node in parts.values() for held in node.reservations]
        found += misses(empty.holding(tuple(both)), chance)

    assert found >= 3


def most_in_a_window(consumed: list[tuple[str, int, int]], window: int) -> int:
    """Most that was run in any window of that length; the fullest starts with a run."""
    most = 0
    for _, start, _ in consumed:
        inside = (min(end, start + window) - max(begin, start) for _, begin, end in consumed)
        most = max(most, sum(max(0, part) for part in inside))
    return most


def wilful(chance: Random, budget: int, period: int) -> SimThread:
    """A thread that runs on, or takes parts of its budget as soon as more may be had."""
    part = chance.choice((ENDLESS, 1 + chance.randrange(budget)))
    interval = ENDLESS if part == ENDLESS else -(-part * period // budget) + 1
    task = SimTask(
        name="rogue",
        wcet=part,
        period=interval,
        deadline=ENDLESS * 4,
        priority=0,
        release=chance.randrange(period),
        gaps=tuple(chance.randrange(1 + chance.choice((0, period // 4))) for _ in range(3)),
    )
    return SimThread(
        name="rogue", budget=budget, deadline=period, period=period, task=task, judged=False
    )


def disturbing(chance: Random, budget: int, period: int) -> SimThread:
    """One with earlier deadlines, which makes the other late within its own."""
    task = SimTask(
        name="first",
        wcet=budget,
        period=2 * period,
        deadline=ENDLESS * 4,
        priority=0,
        release=chance.randrange(period),
        gaps=tuple(chance.randrange(3 * period) for _ in range(4)),
    )
    return SimThread(
        name="first", budget=budget, deadline=period, period=period, task=task, judged=False
    )


def heaviest(chance: Random, tick: int, budget: int, period: int) -> dict[int, int]:
    simulation = DeadlineSimulation(tick=tick, tick_phases=[chance.randrange(max(1, tick))])
    simulation.add(wilful(chance, budget, period))
    simulation.add(disturbing(chance, 1 + period // 3, period - 1))
    simulation.run(30 * period)
    own = [span for span in simulation.consumed if span[0] == "rogue"]
    windows = [chance.randrange(1, 6 * period) for _ in range(8)]
    return {window: most_in_a_window(own, window) for window in windows}


def bound(window: int, budget: int, period: int, tick: int) -> int:
    """What servers below have to expect, without a penalty of their own."""
    above = interference([(budget, period)], tick, 0)
    return sum(-(-(window + jitter) // interval) * cost for cost, interval, jitter in above)


@given(st.integers(0, 2**32), st.sampled_from((0, 1, 3, 7)))
def test_nothing_takes_more_than_servers_below_expect(seed: int, tick: int) -> None:
    chance = Random(seed)
    period = chance.randrange(8, 60)
    budget = chance.randrange(1, 1 + period // 2)

    for window, most in heaviest(chance, tick, budget, period).items():
        assert most <= bound(window, budget, period, tick)


def scripted(wcet: int, gaps: tuple[int, ...], budget: int, period: int) -> SimThread:
    task = SimTask(
        name="rogue", wcet=wcet, period=1, deadline=ENDLESS, priority=0, release=0, gaps=gaps
    )
    return SimThread(
        name="rogue", budget=budget, deadline=period, period=period, task=task, judged=False
    )


def test_a_thread_that_sleeps_takes_more_than_a_deferrable_server() -> None:
    simulation = DeadlineSimulation()
    simulation.add(scripted(100, (0, 998, 500, 0, ENDLESS), 200, 1_000))
    urgent = scripted(800, (ENDLESS,), 800, 999)
    urgent.name = "urgent"
    simulation.add(urgent)

    simulation.run(3_000)

    own = [span for span in simulation.consumed if span[0] == "rogue"]
    assert most_in_a_window(own, 901) == 500
    assert most_consumed(901, 200, 1_000, 0) == 400
    assert bound(901, 200, 1_000, 0) >= 500


def test_a_thread_can_be_in_debt_twice_in_one_window() -> None:
    simulation = DeadlineSimulation(tick=4_000, tick_phases=[999])
    simulation.add(scripted(ENDLESS, (ENDLESS,), 1_000, 10_000))

    simulation.run(60_000)

    assert simulation.consumed[0] == ("rogue", 0, 4_999)
    assert most_in_a_window(simulation.consumed, 12_999) == 7_998
    assert most_consumed(12_999, 1_000, 10_000, 4_000) == 7_000
    assert bound(12_999, 1_000, 10_000, 4_000) >= 7_998
