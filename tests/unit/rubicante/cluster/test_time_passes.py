"""An upgrade, a reboot, a clock that jumps: what was promised still holds."""

import ast
import json
import os
from pathlib import Path

from daemons.rubicante.book.entry import Phase, parse_entry
from daemons.rubicante.kernel.rt_budget import LEAST
from k40s.cpu.model import Mechanism
from k40s.units import NS_PER_MS
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.kernel import CPU, FakeKernel
from tests.fakes.rubicante.world import World, container_id, pod, uid

REQUEST = {
    "pod": {"uid": uid(1), "namespace": "default", "name": "pod-1"},
    "criticality": "LOW",
    "tasks": [
        {
            "name": "ctl",
            "container": "main",
            "period": "100ms",
            "deadline": "100ms",
            "wcet": {"xeon": "5ms"},
        }
    ],
}
ALLOCATION = {
    "v": 1,
    "criticality": "LOW",
    "servers": [
        {
            "container": "main",
            "core": 1,
            "budget": "9.12ms",
            "period": "100ms",
            "tasks": [
                {
                    "name": "ctl",
                    "wcet": "5ms",
                    "period": "100ms",
                    "deadline": "100ms",
                    "rt_priority": 98,
                }
            ],
        }
    ],
}
FIRST_RELEASE = json.dumps(
    {
        "request": json.dumps(REQUEST),
        "containers": ["main"],
        "phase": "bound",
        "allocation": json.dumps(ALLOCATION),
    }
)
"""An entry as the first release wrote it: one server per container, in a group of its own."""


def former_world() -> World:
    """The disk of the first release."""
    before = World()
    before.store.texts = {f"pod/{uid(1)}": FIRST_RELEASE, "generation": "7"}
    return before


def test_an_entry_of_the_first_release_is_read_as_what_it_was() -> None:
    entry = parse_entry(FIRST_RELEASE, pod_uid=uid(1))

    (held,) = entry.reservations
    assert entry.phase is Phase.BOUND
    assert (held.mechanism, held.group) == (Mechanism.RT_CGROUP, None)
    assert held.server.budget == 9_120_000


def test_threads_that_the_first_release_enforced_run_on_through_an_upgrade() -> None:
    before = former_world()
    group = before.system.make_groups(before.group())
    before.system.groups[group].period = 100_000
    before.system.groups[group].runtime = 9_120
    home = before.container()
    shown = "/" + str(home.relative_to(CPU))
    tid = before.system.spawn(group, "ctl", other_cgroup=shown)
    thread = before.system.threads[tid]
    thread.policy, thread.priority = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, 98
    thread.affinity = frozenset({1})
    before.system.calls.clear()

    after = before.restarted()
    after.pods.replace([pod(1, node=NODE, container_ids={"main": container_id(1)})])
    after.enforcer.sweep()
    after.look()

    assert after.book.generation == 7
    assert after.enforcer.threads(uid(1)) == {("main", "ctl"): tid}
    assert {call[1].name for call in before.system.calls} == set(LEAST)  # 0.1.0 set no limit
    assert before.system.groups[group].ordinary == LEAST


def test_after_a_reboot_the_groups_are_made_anew_for_the_pods_that_start_again() -> None:
    before = World()
    before.reserve(1)
    before.pods.upsert(pod(1, node=NODE))
    before.reserve(2)
    promised = before.book.find(uid(1))

    after = World(store=before.store, server=before.server, system=FakeKernel())
    after.pods.replace([pod(1, node=NODE)])
    tid = after.system.spawn(after.container(id_=9), "ctl")
    after.report_status(id_=9)
    for _ in range(8):
        after.look()
        after.seconds += 0.3

    assert promised is not None
    assert after.book.find(uid(1)) == promised
    assert after.enforcer.threads(uid(1)) == {("main", "ctl"): tid}
    held = promised.reservations[0].server
    assert after.system.budget(after.group()) == (
        held.budget // 1000,
        held.period // (NS_PER_MS // 1000),
    )


def test_nothing_in_the_daemon_asks_for_the_wall_clock() -> None:
    wall = {"time", "time_ns", "now", "utcnow", "today", "localtime", "gmtime"}
    asked = [
        f"{path.name}:{node.lineno}"
        for path in Path("daemons/rubicante").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in wall
        and isinstance(node.value, ast.Name)
        and node.value.id in ("time", "datetime", "date")
    ]

    assert asked == []
