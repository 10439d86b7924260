"""A plan asks the daemon of a node that publishes sums alone, and filter does not."""

import json
from collections.abc import Collection
from itertools import count

from extender.preemption.whole_states import NODES_AT_ONCE, ROUNDS, agree
from k40s.annotations import format_cpu_state, parse_cpu_state
from k40s.annotations.cpu_state import MAX_WHOLE_STATE
from k40s.cpu.model import CpuNode
from k40s.node_api.client import DaemonError
from k40s.reasons import Reason
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.extender.crowded import NODE, crowded_world, publish_crowd, small_pods
from tests.fakes.extender.full_nodes import Pod, rt_pod, with_pod
from tests.fakes.extender.world import World, make_cpu_node, make_cpu_state, record_of
from tests.oracles.preemption import make_body

HIGH = rt_pod("high", "HI", "65ms")
LARGE_HALF = rt_pod("large", "LOW", "40ms")
LARGE = rt_pod("large", "LOW", "70ms")


def crowd() -> World:
    world = crowded_world(*small_pods(), LARGE)
    world.filter(HIGH, [NODE])
    return world


def victims(answer: dict[str, object]) -> list[str]:
    named = answer["Victims"]
    assert isinstance(named, list)
    return [one["UID"] for one in named]


def states_asked(world: World) -> int:
    return sum(line.startswith("state at") for line in world.cpu.journal)


def test_a_crowded_node_is_a_candidate() -> None:
    world = crowd()

    answer = world.plan("high")

    assert (answer["Outcome"], answer["Node"], victims(answer)) == ("plan", NODE, ["large"])


def test_filter_does_not_read_the_whole_state() -> None:
    world = crowd()

    assert states_asked(world) == 0


def test_the_same_state_is_asked_for_once() -> None:
    world = crowd()

    first, second = world.plan("high"), world.plan("high")

    assert first == second
    assert states_asked(world) == 1


def test_another_published_state_is_asked_for_again() -> None:
    world = crowd()
    world.plan("high")
    world.cpu.generation += 1
    publish_crowd(world)
    world.filter(HIGH, [NODE])

    assert world.plan("high")["Outcome"] == "plan"
    assert states_asked(world) == 2


def test_a_daemon_that_is_ahead_is_waited_for_until_the_watch_shows_its_state() -> None:
    world = crowd()

    def changes() -> None:
        if world.cpu.generation == 1:
            world.cpu.generation += 1
            world.pause_ends = lambda: publish_crowd(world)

    world.cpu.on_state = changes

    assert world.plan("high")["Outcome"] == "plan"
    assert len(world.pauses) == 1


def test_a_state_that_never_agrees_is_no_candidate() -> None:
    world = crowd()
    world.cpu.generation = 7

    answer = world.plan("high")

    assert answer["Outcome"] == "none"
    assert states_asked(world) == ROUNDS


def test_a_daemon_without_an_answer_is_no_candidate_and_asked_once_in_a_call() -> None:
    world = crowd()
    world.cpu.query_fault = DaemonError("late", reason=Reason.CPU_DAEMON_BUSY)

    answer = world.plan("high")

    assert answer["Outcome"] == "none"
    assert states_asked(world) == 1


def test_nobody_is_asked_where_nobody_could_go() -> None:
    pods = [rt_pod(f"h{number}", "HI", "1ms") for number in range(18)]
    world = crowded_world(*pods, rt_pod("large", "HI", "70ms"))
    world.filter(HIGH, [NODE])

    assert world.plan("high")["Outcome"] == "none"
    assert states_asked(world) == 0


def test_room_that_came_meanwhile_has_nobody_evicted() -> None:
    world = crowd()

    def leaves() -> None:
        world.cpu.node, world.cpu.generation = world.cpu.node.without("large"), 2
        publish_crowd(world)

    world.cpu.on_state = leaves

    assert world.plan("high")["Outcome"] == "fits"


def test_the_guard_reads_what_a_plan_has_asked_for() -> None:
    world = crowd()
    world.plan("high")

    answer = json.loads(world.verbs.preempt(make_body(HIGH, ["large"], node=NODE)))

    assert [one["UID"] for one in answer["NodeNameToMetaVictims"][NODE]["Pods"]] == ["large"]


def test_each_call_asks_so_many_nodes_and_the_next_one_the_others() -> None:
    world = crowded_world(*small_pods(), LARGE)
    names = [f"n{number:02d}" for number in range(NODES_AT_ONCE + 2)]
    for name in names:
        publish_crowd(world, name=name)
        world.watch_pod(record_of(rt_pod(name, "LOW", "1ms"), node=name))
    world.filter(HIGH, names)
    world.cpu.query_fault = DaemonError("late", reason=Reason.CPU_DAEMON_BUSY)

    world.plan("high")
    first = states_asked(world)
    world.plan("high")

    assert (first, states_asked(world)) == (NODES_AT_ONCE, 2 * NODES_AT_ONCE)


def test_an_answer_agrees_with_what_it_would_have_published_and_nothing_else() -> None:
    world = crowded_world(*small_pods(), LARGE)
    node = world.cpu.node
    whole = parse_cpu_state(
        format_cpu_state(make_cpu_state(node, generation=3), at_most=MAX_WHOLE_STATE)
    )
    published = parse_cpu_state(format_cpu_state(make_cpu_state(node, generation=3)))
    less = make_cpu_state(node.without("large"), generation=3)
    other = parse_cpu_state(format_cpu_state(less, at_most=MAX_WHOLE_STATE))

    assert agree(published, whole)
    assert not agree(published, other)
    assert not agree(published, published)


def test_a_search_that_takes_too_long_settles_for_a_set_of_which_none_can_be_left_out() -> None:
    ticks = count()
    node = make_cpu_node(tick=Nanoseconds(0))
    pods = [LARGE_HALF, *small_pods()]
    high = rt_pod("high", "HI", "75ms")

    def clock() -> int:
        return next(ticks) * NS_PER_MS

    world = crowded_world(*pods, node=node, on_clock=clock)
    world.filter(high, [NODE])
    gone = victims(world.plan("high"))

    assert "large" in gone
    assert fits_without(world.cpu.node, high, gone)
    assert not any(fits_without(world.cpu.node, high, set(gone) - {one}) for one in gone)


def fits_without(node: CpuNode, pod: Pod, gone: Collection[str]) -> bool:
    for uid in gone:
        node = node.without(uid)
    try:
        with_pod(World(), node, pod)
    except AssertionError:
        return False
    return True
