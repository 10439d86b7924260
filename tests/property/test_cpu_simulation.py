"""What is admitted is never seen to miss, and the simulation could see it."""

from dataclasses import dataclass, replace
from random import Random

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from k40s.cpu.admission import admit
from k40s.cpu.model import CpuNode, PodDemand
from k40s.cpu.outcome import Admission
from k40s.units import Nanoseconds
from tests.oracles.pods import empty_node, pods, random_pod
from tests.oracles.replay import Replay

EXAMPLES = settings().max_examples

STEPS = st.lists(st.one_of(pods(), pods(), pods(), st.integers(0, 5)), min_size=3, max_size=8)
"""Pods that arrive, and numbers of those that leave."""


@dataclass
class Tally:
    """What a run of a property has really looked at."""

    arrivals: int = 0
    admitted: int = 0
    jobs: int = 0
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
    assert tally.jobs > 50 * EXAMPLES


@pytest.mark.parametrize("tick_ms", [1, 4])
def test_without_the_tick_term_the_same_simulation_finds_misses(tick_ms: int) -> None:
    tally = Tally()

    for seed in range(30):
        chance = Random(seed)
        blind = replace(empty_node(tick_ms), tick=Nanoseconds(0))
        steps: list[PodDemand | int] = [random_pod(chance, f"p{number}") for number in range(5)]
        live(blind, steps, chance, tally, tick_ms * 1_000)

    assert tally.runs_with_misses >= 5
