"""Nodes with more reservations than fit into what they publish, full of bound pods."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from k40s.annotations import CPU_STATE_KEY, format_cpu_state, parse_cpu_state
from k40s.annotations.cpu_state import MAX_WHOLE_STATE
from k40s.cpu.model import CpuNode
from k40s.units import Nanoseconds
from tests.fakes.extender.full_nodes import Pod, rt_pod, with_pod
from tests.fakes.extender.world import (
    FakeRubicante,
    World,
    make_cpu_node,
    make_cpu_state,
    make_node,
    make_pod,
    make_task,
    record_of,
)

NODE = "crowd"
SMALL = 18
"""So many pods of one task are more than a node can publish."""


def crowded_world(
    *pods: Pod,
    node: CpuNode | None = None,
    cut: bool = True,
    on_clock: Callable[[], int] | None = None,
) -> World:
    """An extender that sees one node with these pods, which its daemon holds.

    With ``cut`` the node publishes what fits into 1 KB, as nodes do; else all reservations.
    """
    node = node or make_cpu_node(cores=(1, 2), tick=Nanoseconds(0))
    world = World(cpu=FakeRubicante(node), on_clock=on_clock)
    for pod in pods:
        node = with_pod(world, node, pod)
        world.watch_pod(record_of(pod, node=NODE))
    world.cpu.node = node
    publish_crowd(world, cut=cut)
    return world


def publish_crowd(world: World, *, cut: bool = True, name: str = NODE) -> None:
    """The node publishes what its daemon holds."""
    state = make_cpu_state(world.cpu.node, generation=world.cpu.generation)
    record = make_node(name, level=20, cpu=state)
    if not cut:
        text = format_cpu_state(state, at_most=MAX_WHOLE_STATE)
        record = replace(record, annotations={**record.annotations, CPU_STATE_KEY: text})
    assert parse_cpu_state(record.annotations[CPU_STATE_KEY]).complete is not cut
    world.add(record)


def small_pods(count: int = SMALL) -> list[Pod]:
    """LOW pods of one per cent."""
    return [rt_pod(f"s{number}", "LOW", "1ms") for number in range(count)]


def random_crowd(dice: random.Random) -> tuple[CpuNode, list[Pod]]:
    """An empty node, and pods that fit there one after the other: too many to be published."""
    while True:
        node = full = make_cpu_node(cores=range(dice.choice((2, 3))), tick=Nanoseconds(0))
        sizes = [40] * dice.randrange(2, 5) + [2] * (2 * SMALL)
        kept: list[Pod] = []
        for number, most in enumerate(sizes):
            pod = _random_pod(dice, f"{number:02d}{dice.randrange(16**6):06x}", most=most)
            with suppress(AssertionError):
                full = with_pod(World(cpu=FakeRubicante(node)), full, pod)
                kept.append(pod)
            if not parse_cpu_state(format_cpu_state(make_cpu_state(full))).complete:
                return node, kept


def _random_pod(dice: random.Random, uid: str, *, most: int) -> Pod:
    period = dice.choice((100, 200, 400))
    wcet = max(period * dice.randrange(1, most + 1) // 100, 1)
    tasks = [make_task(f"{wcet}ms", f"{period}ms")]
    return make_pod(uid, uid=uid, criticality=dice.choice(("LOW", "LOW", "HI")), tasks=tasks)
