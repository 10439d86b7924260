"""A retried pod gets the change that made the scheduler retry."""

import threading

from extender.cache.catch_up import CatchUp
from extender.cache.snapshot import Snapshot
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from tests.fakes.extender.world import World, make_node, make_pod

POD = make_pod(criticality="HI")
LONG = Nanoseconds(20 * NS_PER_S)
SHORT = Nanoseconds(NS_PER_MS)


def refused_pod(*, timeout: Nanoseconds) -> tuple[World, CatchUp, Snapshot]:
    """Pod ``p`` has just been refused on the only node."""
    world = World()
    world.add(make_node("a", level=3))
    catch_up = CatchUp(cache=world.cache, clock=world.clock.monotonic, timeout=timeout, pods=1)
    seen = world.cache.snapshot()
    catch_up.refused("p", seen)
    return world, catch_up, seen


def test_a_change_that_comes_shortly_later_is_awaited() -> None:
    world = World(catch_up_timeout=LONG)
    world.add(make_node("a", level=3))
    refused = world.filter(POD, ["a"])
    world.clock.advance(2)
    late = threading.Thread(target=lambda: world.add(make_node("a", level=20)))

    late.start()
    answer = world.filter(POD, ["a"])
    late.join()

    assert refused["NodeNames"] == []
    assert answer["NodeNames"] == ["a"]


def test_a_change_at_the_moment_of_the_refusal_is_taken_as_well() -> None:
    world, catch_up, seen = refused_pod(timeout=LONG)
    world.add(make_node("a", level=20))

    found = catch_up.newer("p", seen)

    assert found is world.cache.snapshot()


def test_a_change_of_a_network_hides_no_change_of_a_node_from_other_pods() -> None:
    world, catch_up, seen = refused_pod(timeout=LONG)
    world.cache.touch()
    retried = world.cache.snapshot()
    world.add(make_node("a", level=20))

    assert catch_up.newer("p", retried) is world.cache.snapshot()
    assert catch_up.newer("p", seen, beside=True) is world.cache.snapshot()


def test_only_a_pod_that_requires_a_network_waits_for_one() -> None:
    world, catch_up, seen = refused_pod(timeout=SHORT)
    world.cache.touch()

    assert catch_up.newer("p", seen, beside=True) is world.cache.snapshot()
    assert catch_up.newer("p", seen) is None


def test_an_echo_without_a_change_does_not_pause_what_later_events_wait_for() -> None:
    world, catch_up, seen = refused_pod(timeout=SHORT)

    echo = catch_up.newer("p", seen)
    world.add(make_node("a", level=20))
    second_echo = catch_up.newer("p", seen)
    world.clock.advance(1)
    later = catch_up.newer("p", seen)

    assert echo is None
    assert second_echo is None
    assert later is world.cache.snapshot()


def test_a_pod_is_not_kept_waiting_the_first_time_and_hardly_for_its_own_echo() -> None:
    world = World(catch_up_timeout=LONG)
    world.add(make_node("a", level=3))

    answers = [world.filter(POD, ["a"]) for _ in range(3)]

    assert all(answer["NodeNames"] == [] for answer in answers)


def test_a_wait_without_a_change_is_followed_by_a_pause() -> None:
    world, catch_up, seen = refused_pod(timeout=SHORT)
    world.clock.advance(1)

    unchanged = catch_up.newer("p", seen)
    world.add(make_node("a", level=20))
    paused = catch_up.newer("p", seen)
    world.clock.advance(1)
    after_pause = catch_up.newer("p", seen)

    assert unchanged is None
    assert paused is None
    assert after_pause is world.cache.snapshot()


def test_the_oldest_refusals_are_evicted() -> None:
    world, catch_up, seen = refused_pod(timeout=LONG)
    catch_up.refused("q", seen)
    world.clock.advance(1)

    assert catch_up.newer("p", seen) is None
