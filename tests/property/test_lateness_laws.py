"""A kernel that takes long to leave system calls: threads start late, and pay for it themselves.

What a thread waits from its wake-up is charged to it, so admission grants it that. The oracle
counts the demand of each interval anew, from the contracts.
"""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from random import Random

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.endangered import endangered_pods
from k40s.cpu.model import (
    ContainerDemand,
    CpuNode,
    DeadlineOffer,
    Domain,
    Mechanism,
    PodDemand,
    Reservation,
    Task,
)
from k40s.cpu.outcome import Admission
from k40s.criticality import Criticality
from k40s.simulation.core import SimTask
from k40s.simulation.edf import DeadlineSimulation, SimThread
from k40s.units import NS_PER_US, Nanoseconds
from tests.oracles.pods import empty_node
from tests.oracles.replay import Replay

SWITCHES, USUAL = 20, 100
"""Two switches, and the lateness that is assumed of every kernel, in microseconds."""
SEEDS = st.integers(0, 2**32)
TICKS = st.sampled_from((0, 100, 1_000, 4_000))
LATE = st.sampled_from((100, 101, 300, 1_000, 1_074))


def us(number: int) -> Nanoseconds:
    return Nanoseconds(number * NS_PER_US)


def a_node(tick: int, late: int) -> CpuNode:
    offer = DeadlineOffer(
        tick=us(tick), capacity=Fraction(9, 10), domain=Domain.PARTITIONED, delay=us(late - USUAL)
    )
    return replace(empty_node(4), deadline=offer)


def a_pod(uid: str, contracts: Sequence[tuple[int, int]]) -> PodDemand:
    tasks = tuple(
        Task(name=f"t{number}", wcet=us(wcet), period=us(period), deadline=us(period))
        for number, (wcet, period) in enumerate(contracts)
    )
    return PodDemand(
        pod_uid=uid,
        criticality=Criticality.HI,
        containers=(ContainerDemand(container="c", tasks=tasks),),
        mechanism=Mechanism.DEADLINE,
    )


def filled(chance: Random, tick: int, late: int) -> CpuNode:
    """A core with what it takes of pods with periods of 2 to 50 ms."""
    node = a_node(tick, late)
    for number in range(chance.randrange(1, 6)):
        periods = [chance.randrange(2_000, 50_000) for _ in range(chance.randrange(1, 3))]
        contracts = [(max(1, p * chance.randrange(1, 30) // 100), p) for p in periods]
        outcome = admit(node, a_pod(f"p{number}", contracts))
        node = outcome.node if isinstance(outcome, Admission) else node
    return node


def demand(held: Reservation, own: str, interval: int, late: int) -> int:
    """In microseconds, most in any interval: of a thread that keeps its contract, or of a rogue."""
    (task,) = held.tasks
    paid = -(-task.wcet // NS_PER_US) + SWITCHES + late
    jobs, rest = divmod(interval, task.deadline // NS_PER_US)
    if held.pod_uid == own:
        return jobs * paid
    return jobs * paid + min(paid, -(-rest * paid // (task.deadline // NS_PER_US)))


@given(SEEDS, TICKS, LATE)
def test_what_is_admitted_fits_with_every_late_start_counted_anew(
    seed: int, tick: int, late: int
) -> None:
    node = filled(Random(seed), tick, late)
    event(f"{len(node.reservations)} reservations")

    for held in node.reservations:
        paid = -(-held.tasks[0].wcet // NS_PER_US) + SWITCHES + late
        assert held.server.budget == us(paid)
    for own in {held.pod_uid for held in node.reservations}:
        first = min(h.tasks[0].deadline for h in node.reservations if h.pod_uid == own)
        overruns = sum(tick for held in node.reservations if held.pod_uid != own)
        dues = {
            interval
            for held in node.reservations
            for interval in range(
                held.tasks[0].deadline // NS_PER_US, 300_000, held.tasks[0].deadline // NS_PER_US
            )
            if us(interval) >= first
        }
        for interval in dues:
            wanted = sum(demand(held, own, interval, late) for held in node.reservations)
            assert wanted + overruns <= interval


@given(SEEDS, TICKS, LATE, LATE)
def test_a_core_that_turns_out_later_endangers_what_it_admitted_on_less(
    seed: int, tick: int, one: int, other: int
) -> None:
    less, more = sorted((one, other))
    node = filled(Random(seed), tick, less)
    later = a_node(tick, more).holding(node.reservations)

    assert not endangered_pods(node)
    assert endangered_pods(later) == (
        {held.pod_uid for held in node.reservations} if less < more else set()
    )


@given(SEEDS, st.sampled_from((100, 400, 1_000)))
def test_beside_rogues_that_overrun_by_the_lateness_nobody_is_late(seed: int, late: int) -> None:
    chance = Random(seed)
    node = filled(chance, late - USUAL, late)
    replay = Replay(node, chance, tick=late - USUAL)
    replay.follow(node)
    replay.run(400_000)
    replay.finish()

    assert replay.misses == []


@pytest.mark.parametrize("late", [101, 300, 1_000])
def test_with_the_budget_of_a_punctual_kernel_a_late_start_costs_a_deadline(late: int) -> None:
    """The reason for all this, in the simulator: the loop alone, charged for its wait once."""

    def misses(node: CpuNode) -> int:
        outcome = admit(node, a_pod("p", [(300, 4_000)]))
        assert isinstance(outcome, Admission)
        (held,) = outcome.granted
        domain = DeadlineSimulation(tick=0, tick_phases=[0], below=[])
        task = SimTask(
            name="t",
            wcet=300 + SWITCHES + late,
            period=4_000,
            deadline=4_000,
            priority=0,
            release=0,
            gaps=(0,),
        )
        budget = held.server.budget // NS_PER_US
        domain.threads["t"] = SimThread(
            name="t", budget=budget, deadline=4_000, period=4_000, task=task
        )
        domain.run(40_000)
        domain.finish()
        return len(domain.misses)

    assert misses(a_node(0, late)) == 0
    assert misses(a_node(0, USUAL)) > 0
