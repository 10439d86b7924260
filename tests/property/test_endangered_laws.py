"""Who is endangered when budgets end later than at admission: exactly those whose test fails."""

from dataclasses import replace
from random import Random

from hypothesis import event, given
from hypothesis import strategies as st

from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.endangered import endangered_pods
from k40s.cpu.admission.schedulability import node_holds
from k40s.cpu.model import CpuNode
from k40s.cpu.outcome import Admission
from k40s.units import NS_PER_US, Nanoseconds
from tests.oracles.pods import random_large_pod, random_node

SEEDS = st.integers(0, 2**32)
TICKS = st.sampled_from((0, 100, 300, 1000, 4000, 10_000))


def at(node: CpuNode, microseconds: int) -> CpuNode:
    """The node as it is when SCHED_DEADLINE budgets end so late."""
    assert node.deadline is not None
    tick = Nanoseconds(microseconds * NS_PER_US)
    return replace(node, deadline=replace(node.deadline, tick=tick))


def admitted(seed: int, microseconds: int) -> CpuNode:
    """A node with what it admits at that lateness."""
    chance = Random(seed)
    node = random_node(chance, chance.choice((0, 1, 4)))
    while node.deadline is None:
        node = random_node(chance, chance.choice((0, 1, 4)))
    node = at(node, microseconds)
    for number in range(chance.randrange(1, 7)):
        outcome = admit(node, random_large_pod(chance, f"p{number}", len(node.cores)))
        node = outcome.node if isinstance(outcome, Admission) else node
    return node


@given(SEEDS, TICKS, TICKS)
def test_nobody_is_endangered_exactly_where_the_whole_node_holds(
    seed: int, before: int, after: int
) -> None:
    node = at(admitted(seed, before), after)

    found = endangered_pods(node)

    assert bool(found) is not node_holds(node)
    assert found <= {held.pod_uid for held in node.reservations}
    assert not (found and after <= before)
    event(f"{len(found)} of {len({held.pod_uid for held in node.reservations})}")


@given(SEEDS, TICKS, TICKS)
def test_a_larger_lateness_endangers_no_fewer(seed: int, one: int, other: int) -> None:
    node = admitted(seed, 0)
    less, more = sorted((one, other))

    assert endangered_pods(at(node, less)) <= endangered_pods(at(node, more))


@given(SEEDS, TICKS)
def test_the_node_holds_without_those_who_are_endangered(seed: int, after: int) -> None:
    node = at(admitted(seed, 0), after)

    for uid in endangered_pods(node):
        node = node.without(uid)

    assert node_holds(node)
