"""What admission grants respects the node and all other pods, whatever the mechanisms."""

from dataclasses import replace
from random import Random

from hypothesis import event, given
from hypothesis import strategies as st

from k40s.annotations import CpuState, format_cpu_state, parse_cpu_state
from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.invariants import find_breach
from k40s.cpu.model import CpuNode, PodDemand, Reservation
from k40s.cpu.outcome import Admission
from k40s.units import NS_PER_S, Nanoseconds
from tests.oracles.pods import random_large_pod, random_node

SEEDS = st.integers(0, 2**32)
TICKS_MS = st.sampled_from((0, 1, 4))


def published(node: CpuNode) -> CpuNode:
    """The node as others read it, or the node itself where that is too much to publish."""
    state = CpuState(
        generation=1,
        test="any",
        mechanism="any",
        endpoint="https://10.0.0.1:8441",
        lease=Nanoseconds(30 * NS_PER_S),
        node=node,
        utilization=node.utilizations(),
        complete=True,
    )
    read = parse_cpu_state(format_cpu_state(state))
    return read.node if read.complete else node


@given(SEEDS, TICKS_MS, st.integers(1, 5))
def test_the_built_in_test_keeps_the_rules_that_foreign_ones_are_held_to(
    seed: int, tick_ms: int, count: int
) -> None:
    chance = Random(seed)
    node = random_node(chance, tick_ms)
    kinds = set()
    for number in range(count):
        demand = random_large_pod(chance, f"{number:08}", len(node.cores))
        for seen in (node, published(node)):
            outcome = admit(seen, demand)
            if isinstance(outcome, Admission):
                assert find_breach(seen, demand, outcome) is None
        outcome = admit(node, demand)
        if isinstance(outcome, Admission):
            node = outcome.node
            kinds |= {held.mechanism.value for held in outcome.granted}
    event(f"granted: {sorted(kinds)}")


def spoil(held: Reservation, number: int) -> Reservation | None:
    """A reservation of another pod, changed as no test may; None is one taken away."""
    budget, period = held.server.budget, held.server.period
    match number % 4:
        case 0:
            return None
        case 1:
            shorter = replace(held.server, budget=Nanoseconds(max(1_000, budget - 1_000)))
            return replace(held, server=shorter) if shorter != held.server else None
        case 2:
            longer = replace(held.server, period=Nanoseconds(period + 1_000))
            return replace(held, server=longer)
        case _:
            return replace(held, container="stolen")


@given(SEEDS, TICKS_MS, st.integers(0, 3))
def test_no_spoilt_admission_passes(seed: int, tick_ms: int, number: int) -> None:
    chance = Random(seed)
    node = random_node(chance, tick_ms)
    first, second = (random_large_pod(chance, uid, len(node.cores)) for uid in ("first", "second"))
    held = admit(node, first)
    if not isinstance(held, Admission):
        return
    outcome = admit(held.node, second)
    if not isinstance(outcome, Admission):
        return
    victim = next(r for r in outcome.node.reservations if r.pod_uid == "first")
    before = next(r for r in held.node.reservations if r.key == victim.key)
    changed = spoil(before, number)
    others = [r for r in outcome.node.reservations if r is not victim]
    spoilt = outcome.node.holding((*others, *([changed] if changed else [])))

    event(f"spoilt: {number}")
    assert find_breach(held.node, second, replace(outcome, node=spoilt)) is not None


@given(SEEDS, TICKS_MS)
def test_a_grant_to_another_pod_is_no_grant(seed: int, tick_ms: int) -> None:
    chance = Random(seed)
    node = random_node(chance, tick_ms)
    demand = random_large_pod(chance, "mine", len(node.cores))
    outcome = admit(node, demand)
    if not isinstance(outcome, Admission):
        return
    theirs: PodDemand = replace(demand, pod_uid="theirs")

    assert find_breach(node, theirs, outcome) is not None
