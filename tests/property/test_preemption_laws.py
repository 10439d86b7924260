"""Laws of preemption, over random nodes full of pods.

    python -m bench.extender.preemption --brute 1000 --bodies 10000

tries more of them.
"""

import json
import random

import pytest

from k40s.criticality import Criticality
from tests.fakes.extender.world import World
from tests.oracles.preemption import (
    NODE,
    Scene,
    check_bodies,
    check_plan,
    check_race,
    check_replica_race,
    criticality_of,
    make_body,
    random_scene,
)


@pytest.mark.parametrize("seed", range(4))
def test_the_victims_are_the_least_of_all_subsets_that_make_room(seed: int) -> None:
    dice = random.Random(seed)  # a test repeats itself

    outcomes = {check_plan(random_scene(dice)) for _ in range(15)}

    assert {"plan", "none"} <= outcomes


def test_of_several_nodes_the_one_with_the_least_victims_is_chosen() -> None:
    dice = random.Random(99)  # a test repeats itself
    planned = 0
    for _ in range(10):
        scenes = {f"n{number}": random_scene(dice, pods=4) for number in range(3)}
        asked = scenes["n0"]
        for scene in scenes.values():
            scene.asked, scene.criticality = asked.asked, asked.criticality
        if "k40s.io/network" in str(asked.asked):
            continue  # one network serves all nodes
        answer = cluster_of(scenes).plan("asked")
        keys = {name: scene.brute_force() for name, scene in scenes.items()}
        possible = {name: key for name, key in keys.items() if key is not None}

        if answer["Outcome"] == "plan":
            planned += 1
            chosen = scenes[str(answer["Node"])]
            victims = answer["Victims"]
            assert isinstance(victims, list)
            assert chosen.key([one["UID"] for one in victims]) == min(possible.values())
        else:
            assert not possible or min(possible.values())[1] == 0
    assert planned >= 1


def cluster_of(scenes: dict[str, Scene]) -> World:
    """One extender that sees all nodes, and has refused the pod."""
    world = World()
    for name, scene in scenes.items():
        scene.add_to(world, name)
    world.filter(next(iter(scenes.values())).asked, list(scenes))
    return world


@pytest.mark.parametrize("seed", range(3))
def test_the_guard_never_answers_a_victim_of_equal_or_higher_criticality(seed: int) -> None:
    dice = random.Random(seed)  # a test repeats itself

    assert sum(check_bodies(random_scene(dice), dice, bodies=25) for _ in range(8)) > 0


def test_the_guard_adds_the_least_that_is_enough() -> None:
    dice = random.Random(5)  # a test repeats itself
    extended = 0
    for _ in range(15):
        scene = random_scene(dice)
        world = scene.world()
        reply = json.loads(world.verbs.preempt(make_body(scene.asked, [])))
        given = reply["NodeNameToMetaVictims"]
        best = scene.brute_force()

        if NODE in given:
            extended += 1
            uids = [one["UID"] for one in given[NODE]["Pods"]]
            assert scene.key(uids) == best
        else:
            assert best is None or best[1] == 0
    assert extended >= 2


def test_the_pods_of_the_oracle_are_of_all_kinds() -> None:
    dice = random.Random(0)  # a test repeats itself
    scenes = [random_scene(dice) for _ in range(20)]

    assert {criticality_of(pod) for scene in scenes for pod in scene.pods} == set(Criticality)
    assert any(scene.ending() for scene in scenes)


@pytest.mark.parametrize("seed", range(4))
def test_no_order_of_arrivals_takes_the_room_from_the_claimant(seed: int) -> None:
    dice = random.Random(seed)  # a test repeats itself

    assert sum(check_race(dice) for _ in range(25)) >= 25


@pytest.mark.parametrize("seed", range(4))
def test_no_two_replicas_give_the_claimants_room_away(seed: int) -> None:
    dice = random.Random(seed)  # a test repeats itself

    assert sum(check_replica_race(dice) for _ in range(25)) < 25 * 8
