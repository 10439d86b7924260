"""A pod that is asked for again gets the news that made the scheduler ask."""

import threading

from extender.settling import Settling
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from tests.fakes.extender_world import World, make_node, make_pod

POD = make_pod(criticality="HI")
LONG = Nanoseconds(20 * NS_PER_S)
SHORT = Nanoseconds(NS_PER_MS)


def test_news_that_come_a_moment_later_are_awaited() -> None:
    world = World(moment=LONG)
    world.add(make_node("a", level=3))
    refused = world.filter(POD, ["a"])
    world.clock.advance(2)
    late = threading.Thread(target=lambda: world.add(make_node("a", level=20)))

    late.start()
    answer = world.filter(POD, ["a"])
    late.join()

    assert refused["NodeNames"] == []
    assert answer["NodeNames"] == ["a"]


def test_a_pod_is_not_kept_waiting_the_first_time_nor_for_its_own_echo() -> None:
    world = World(moment=LONG)
    world.add(make_node("a", level=3))

    answers = [world.filter(POD, ["a"]) for _ in range(3)]

    assert all(answer["NodeNames"] == [] for answer in answers)


def test_a_moment_in_vain_is_followed_by_a_rest() -> None:
    world = World()
    world.add(make_node("a", level=3))
    settling = Settling(cache=world.cache, clock=world.clock.monotonic, moment=SHORT, pods=1)
    seen = world.cache.snapshot()
    settling.refused("p", seen)
    world.clock.advance(1)

    in_vain = settling.newer("p", seen)
    world.add(make_node("a", level=20))
    resting = settling.newer("p", seen)
    world.clock.advance(1)
    rested = settling.newer("p", seen)

    assert in_vain is None
    assert resting is None
    assert rested is world.cache.snapshot()


def test_the_oldest_refusals_are_forgotten() -> None:
    world = World()
    world.add(make_node("a", level=3))
    settling = Settling(cache=world.cache, clock=world.clock.monotonic, moment=LONG, pods=1)
    seen = world.cache.snapshot()
    settling.refused("p", seen)
    settling.refused("q", seen)
    world.clock.advance(1)

    assert settling.newer("p", seen) is None
