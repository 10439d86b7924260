"""Where priorities are few and shared, what is admitted is never seen to miss."""

from dataclasses import replace
from functools import partial
from random import Random

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.schedulability import node_holds
from k40s.cpu.linux import LevelRange
from k40s.cpu.model import HIGHEST_PRIORITY, CpuNode, PodDemand
from k40s.cpu.outcome import Admission
from k40s.criticality import Criticality
from tests.oracles.pods import empty_node, nodes, pods, random_large_pod, random_node, random_pod
from tests.oracles.replay import Replay

EXAMPLES = settings().max_examples
FEW = (LevelRange(total=2, below_hi=1), LevelRange(total=4, below_hi=2))


def shares(node: CpuNode) -> bool:
    """Whether containers of a core have a level in common."""
    return any(
        one is not other and one.core == other.core and set(one.priorities) & set(other.priorities)
        for one in node.reservations
        for other in node.reservations
    )


@pytest.mark.parametrize("tick_ms", [0, 1, 4])
def test_no_sequence_of_arrivals_misses_a_deadline_where_levels_are_shared(tick_ms: int) -> None:
    sharing = jobs = 0

    @settings(max_examples=max(15, EXAMPLES // 4))
    @given(st.integers(0, 2**32), st.sampled_from(FEW))
    def check(seed: int, levels: LevelRange) -> None:
        nonlocal sharing, jobs
        chance = Random(seed)
        place = partial(admit, levels=levels)
        node = random_node(chance, tick_ms)
        replay = Replay(node, chance)
        for number in range(8):
            if node.reservations and chance.random() < 0.2:
                node = node.without(chance.choice(node.reservations).pod_uid)
                replay.follow(node)
            outcome = place(node, random_large_pod(chance, f"p{number}", len(node.cores)))
            node = outcome.node if isinstance(outcome, Admission) else node
            replay.follow(node)
            replay.run(chance.randrange(100_000, 1_000_000))
            sharing += shares(node)
        replay.finish()
        jobs += replay.finished
        assert replay.misses == []

    check()

    assert sharing > 4
    assert jobs > 10 * EXAMPLES


def test_levels_shared_behind_the_back_of_the_analysis_are_seen_to_miss() -> None:
    def misses(seed: int) -> bool:
        chance = Random(seed)
        node = empty_node(0)
        for number in range(5):
            outcome = admit(node, random_pod(chance, f"p{number}"))
            node = outcome.node if isinstance(outcome, Admission) else node
        flat = [replace(r, priorities=(98,) * len(r.priorities)) for r in node.reservations]
        replay = Replay(node, chance)
        replay.follow(node.holding(tuple(flat)))
        replay.run(5_000_000)
        replay.finish()
        return bool(replay.misses)

    assert any(misses(seed) for seed in range(200))


@given(nodes(), st.lists(pods(), max_size=8), st.sampled_from(FEW))
def test_levels_are_few_dense_and_never_shared_by_hi_and_low(
    node: CpuNode, demands: list[PodDemand], levels: LevelRange
) -> None:
    for number, demand in enumerate(demands):
        outcome = admit(node, replace(demand, pod_uid=f"p{number}"), levels=levels)
        node = outcome.node if isinstance(outcome, Admission) else node

    event(f"shared: {shares(node)}")
    assert node_holds(node)
    for core in node.cores:
        by_criticality = {
            kind: {
                level
                for held in node.on_core(core)
                if held.criticality is kind
                for level in held.priorities
            }
            for kind in (Criticality.HI, Criticality.LOW)
        }
        high, low = by_criticality[Criticality.HI], by_criticality[Criticality.LOW]
        assert len(low) <= levels.below_hi
        every = sorted(high | low, reverse=True)
        assert every == list(range(HIGHEST_PRIORITY, HIGHEST_PRIORITY - len(every), -1))
        assert len(every) <= levels.total
        assert not high or not low or min(high) > max(low)


@given(nodes(), st.lists(pods(), max_size=6), pods(), st.sampled_from(FEW))
def test_nobody_who_is_there_changes_the_order_with_another(
    node: CpuNode, demands: list[PodDemand], newcomer: PodDemand, levels: LevelRange
) -> None:
    for number, demand in enumerate(demands):
        outcome = admit(node, replace(demand, pod_uid=f"p{number}"), levels=levels)
        node = outcome.node if isinstance(outcome, Admission) else node

    outcome = admit(node, replace(newcomer, pod_uid="new"), levels=levels)

    if isinstance(outcome, Admission):
        before, after = order_of(node), order_of(outcome.node)
        assert {pair: after[pair] for pair in before} == before


def order_of(node: CpuNode) -> dict[tuple[object, object], int]:
    """Above (1), equal (0) or below (-1), for all pairs of tasks of a core."""
    levels = [
        ((held.pod_uid, held.key, index), held.core, level)
        for held in node.reservations
        for index, level in enumerate(held.priorities)
    ]
    return {
        (one, other): (level > rival) - (level < rival)
        for one, core, level in levels
        for other, place, rival in levels
        if core == place
    }
