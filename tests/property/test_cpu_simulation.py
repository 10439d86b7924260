"""What is admitted is never seen to miss, and the simulation could see it."""

from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from k40s.cpu.admission.admit import admit
from k40s.cpu.model import CpuNode, PodDemand
from k40s.cpu.outcome import Admission
from k40s.units import Nanoseconds
from tests.oracles.ambush import ambush
from tests.oracles.bounds import bounds_of
from tests.oracles.pods import empty_node, pods, random_pod
from tests.oracles.replay import Replay

EXAMPLES = settings().max_examples

STEPS = st.lists(st.one_of(pods(), pods(), pods(), st.integers(0, 5)), min_size=5, max_size=10)
"""Pods that arrive, and numbers of those that leave."""


@dataclass
class Tally:
    """What a run of a property has really looked at."""

    arrivals: int = 0
    admitted: int = 0
    jobs: int = 0
    contained: int = 0
    runs_with_misses: int = 0


def live(
    node: CpuNode, steps: list[PodDemand | int], chance: Random, tally: Tally, tick: int
) -> Replay:
    """Let pods come and go, and everything that is admitted run."""
    replay = Replay(node, chance, tick=tick)
    for step in steps:
        if isinstance(step, int):
            if node.reservations:
                leaving = node.reservations[step % len(node.reservations)]
                node = node.without(leaving.pod_uid)
        else:
            node = node.without(step.pod_uid)
            replay.follow(node)
            outcome = admit(node, step)
            tally.arrivals += 1
            if isinstance(outcome, Admission):
                tally.admitted += 1
                node = outcome.node
        replay.follow(node)
        tally.contained += len(replay.contained)
        replay.run(chance.randrange(100_000, 1_500_000))
    replay.finish()
    tally.jobs += replay.finished
    tally.runs_with_misses += bool(replay.misses)
    return replay


@pytest.mark.parametrize("tick_ms", [0, 1, 4])
def test_no_sequence_of_arrivals_and_departures_misses_a_deadline(tick_ms: int) -> None:
    tally = Tally()

    @given(st.integers(1, 2), STEPS, st.integers(0, 2**32))
    def check(cores: int, steps: list[PodDemand | int], seed: int) -> None:
        node = empty_node(tick_ms, cores)
        before = tally.admitted
        replay = live(node, steps, Random(seed), tally, tick_ms * 1_000)
        event(f"admitted {tally.admitted - before}")
        assert replay.misses == []

    check()

    assert tally.admitted > tally.arrivals // 3
    assert tally.jobs > 30 * EXAMPLES
    assert tally.contained > EXAMPLES // 5


@pytest.mark.parametrize("tick_ms", [1, 4])
def test_without_the_tick_term_the_same_simulation_finds_misses(tick_ms: int) -> None:
    tally = Tally()

    for seed in range(30):
        chance = Random(seed)
        blind = replace(empty_node(tick_ms), tick=Nanoseconds(0))
        steps: list[PodDemand | int] = [random_pod(chance, f"p{number}") for number in range(5)]
        live(blind, steps, chance, tally, tick_ms * 1_000)
        if tally.runs_with_misses == 5:
            break

    assert tally.runs_with_misses == 5


def test_without_waits_a_change_of_a_live_core_can_make_a_job_late() -> None:
    def is_late(seed: int) -> bool:
        chance = Random(seed)
        node = empty_node(0)
        replay = Replay(node, chance, patient=False)
        for number in range(6):
            outcome = admit(node, random_pod(chance, f"p{number}"))
            node = outcome.node if isinstance(outcome, Admission) else node
            replay.follow(node)
            replay.run(chance.randrange(100_000, 1_500_000))
        replay.finish()
        return bool(replay.misses)

    assert any(is_late(seed) for seed in range(120))


def staged(node: CpuNode, chance: Random, tick: int) -> list[Fraction]:
    """Longest response over bound for every task, each server being ambushed in turn."""
    ratios: list[Fraction] = []
    for victim in node.reservations:
        promised, contained = bounds_of(node, victim)
        bounds = {i: promised[task.name] for i, task in enumerate(victim.tasks)}
        longest = dict.fromkeys(bounds, 0)
        for _ in range(4):
            core = ambush(node, victim, chance, tick=tick, contained=contained)
            assert core.misses == []
            for index in bounds:
                longest[index] = max(longest[index], core.longest.get(("victim", str(index)), 0))
        ratios += [Fraction(longest[index], bound) for index, bound in bounds.items()]
    return ratios


@pytest.mark.parametrize("tick_ms", [0, 1, 4])
def test_no_staged_worst_case_exceeds_its_bound(tick_ms: int) -> None:
    ratios: list[Fraction] = []

    @given(st.lists(pods(), min_size=2, max_size=6), st.integers(0, 2**32))
    def check(demands: list[PodDemand], seed: int) -> None:
        node = empty_node(tick_ms)
        for demand in demands:
            outcome = admit(node, demand)
            node = outcome.node if isinstance(outcome, Admission) else node
        found = staged(node, Random(seed), tick_ms * 1_000)
        assert all(ratio <= 1 for ratio in found)
        ratios.extend(found)

    check()

    assert len(ratios) > EXAMPLES
    assert sum(ratios) / len(ratios) > Fraction(70, 100)
    assert tick_ms or ratios.count(Fraction(1)) > len(ratios) // 5


@pytest.mark.parametrize("tick_ms", [0, 4])
def test_a_budget_a_quarter_too_small_is_seen_to_miss(tick_ms: int) -> None:
    seen = 0

    for seed in range(30):
        chance = Random(seed)
        outcome = admit(empty_node(tick_ms), random_pod(chance, "p"))
        if isinstance(outcome, Admission):
            (granted,) = outcome.granted
            budget = Nanoseconds(granted.server.budget * 3 // 4_000 * 1_000)
            small = replace(granted, server=replace(granted.server, budget=budget))
            core = ambush(outcome.node.holding((small,)), small, chance, tick=tick_ms * 1_000)
            seen += bool(core.misses)

    assert seen >= 10
