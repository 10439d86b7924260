"""A plan for a node that cannot publish its reservations is the one that all of them would give."""

import random

import pytest

from tests.fakes.extender.crowded import NODE, crowded_world, random_crowd
from tests.fakes.extender.world import make_pod, make_task


@pytest.mark.parametrize("seed", range(4))
def test_the_plan_is_that_of_the_same_node_with_all_reservations_published(seed: int) -> None:
    dice = random.Random(seed)  # a test repeats itself
    outcomes = set()
    for _ in range(6):
        node, pods = random_crowd(dice)
        tasks = [make_task(f"{dice.randrange(40, 180)}ms", "200ms")]
        asked = make_pod("asked", uid="asked", criticality="HI", tasks=tasks)
        answers = []
        for cut in (True, False):
            world = crowded_world(*pods, node=node, cut=cut)
            world.filter(asked, [NODE])
            answers.append(world.plan("asked"))

        assert answers[0] == answers[1]
        outcomes.add(str(answers[0]["Outcome"]))
    assert "plan" in outcomes
