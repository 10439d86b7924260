"""The daemon keeps what it has, and room for HI."""

import json
from dataclasses import replace
from fractions import Fraction

from daemons.rubicante.book.entry import Entry, Phase, format_entry, parse_entry
from k40s.annotations import ALLOCATION_KEY, CRITICALITY_KEY, TASKS_KEY
from k40s.cpu.model import Reservation, Server, Task
from k40s.criticality import Criticality
from k40s.reasons import Reason
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.rubicante.world import NODE, World, ask, node, pod, task, uid

RESERVE = Server(budget=Nanoseconds(20 * NS_PER_MS), period=Nanoseconds(100 * NS_PER_MS))


def small_world() -> World:
    return World(base=replace(node(capacity=Fraction(9, 20)), hi_reserve=RESERVE))


def test_a_low_pod_that_would_take_the_room_is_refused_and_the_hi_pod_is_not() -> None:
    world = small_world()
    world.server.add(pod(1))

    answer, created = world.reservations.reserve(ask(1, task(wcet_ms=1, period_ms=5)))

    assert not created
    assert answer.reason is Reason.CPU_RESERVED_FOR_HI
    world.reserve(2, task(wcet_ms=20), criticality=Criticality.HI)


def test_a_low_pod_beside_the_hi_pod_that_has_the_room_is_reserved_for() -> None:
    world = small_world()
    world.reserve(1, task(wcet_ms=20), criticality=Criticality.HI)

    world.reserve(2, task(wcet_ms=5, period_ms=400))


def test_a_setting_that_comes_later_takes_nothing_from_those_that_are_there() -> None:
    world = World(base=node(capacity=Fraction(9, 20)))
    world.reserve(1, task(wcet_ms=20, period_ms=100))

    later = replace(world.restarted(), base=small_world().base)

    assert later.book.find(uid(1)) == world.book.find(uid(1))
    assert later.reservations.reserve(ask(1, task(wcet_ms=20, period_ms=100)))[0].schedulable


def test_a_pod_that_runs_by_a_grant_is_held_again_though_it_leaves_no_room() -> None:
    world = small_world()
    tasks = json.dumps([{"name": "ctl", "period": "5ms", "wcet": "1ms"}])
    keys = {CRITICALITY_KEY: "LOW", TASKS_KEY: tasks}
    world.server.add(pod(1, node=NODE, annotations=keys))
    unknown = world.reservations.reserve(ask(1, task(wcet_ms=1, period_ms=5)))[0]
    granted = pod(1, node=NODE, annotations={**keys, ALLOCATION_KEY: "{}"})
    world.server.add(granted)

    adopted = world.upkeep.adopt(granted)

    assert unknown.reason is Reason.CPU_RESERVED_FOR_HI
    assert adopted
    assert world.book.find(uid(1)) is not None


def test_an_entry_with_more_tasks_than_a_new_pod_may_have_is_read_from_the_store() -> None:
    names = [f"t{number}" for number in range(48)]
    request = ask(1, *(task(name, wcet_ms=1, period_ms=900) for name in names))
    tasks = tuple(
        Task(
            name=name,
            wcet=Nanoseconds(NS_PER_MS),
            period=Nanoseconds(900 * NS_PER_MS),
            deadline=Nanoseconds(900 * NS_PER_MS),
        )
        for name in names
    )
    held = Reservation(
        pod_uid=uid(1),
        container="main",
        core=1,
        criticality=Criticality.LOW,
        server=Server(budget=Nanoseconds(90 * NS_PER_MS), period=Nanoseconds(900 * NS_PER_MS)),
        tasks=tasks,
        priorities=tuple(range(98, 50, -1)),
    )
    entry = Entry(request=request, containers=("main",), phase=Phase.BOUND, reservations=(held,))

    assert parse_entry(format_entry(entry), pod_uid=uid(1)) == entry
