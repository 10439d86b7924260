"""Rubicante put together: at its start, on lesser kernels, with its loops running."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from daemons.rubicante.book.entry import Phase
from k40s.annotations import (
    ALLOCATION_KEY,
    CRITICALITY_KEY,
    REAL_TIME_LABEL,
    TASKS_KEY,
    parse_cpu_state,
)
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.kernel import CPU, FIFO, PROC
from tests.fakes.rubicante.scene import SETTINGS, Scene, published
from tests.fakes.rubicante.world import ask, container_id, pod, uid


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.daemon.halt()


def test_reconciles_book_pods_and_kernel_at_start(scene: Scene) -> None:
    scene.open()
    scene.server.add(pod(1))
    scene.daemon.reservations.reserve(ask(1))
    scene.server.add(pod(1, node=NODE))
    scene.daemon.pods.upsert(pod(1, node=NODE))
    lost = scene.server.add(
        pod(
            3,
            node=NODE,
            annotations={
                CRITICALITY_KEY: "HI",
                TASKS_KEY: '[{"name":"x","period":"100ms","wcet":{"xeon":"1ms"}}]',
                ALLOCATION_KEY: "{}",
            },
        )
    )
    orphan = scene.kernel.make_groups(CPU / f"rt-{uid(9)}-0")
    again = scene.make()

    scene.open(again)

    phases = {entry.pod.uid: entry.phase for entry in again.book.entries()}
    assert phases[uid(1)] is Phase.BOUND
    assert phases[lost.uid] is Phase.BOUND
    assert orphan not in scene.kernel.groups
    again.halt()


def test_a_pod_that_cannot_be_adopted_is_shown_and_tried_again_later(scene: Scene) -> None:
    scene.open()
    annotations = {CRITICALITY_KEY: "HI", TASKS_KEY: "[", ALLOCATION_KEY: "{}"}
    broken = scene.server.add(pod(3, node=NODE, annotations=annotations))
    scene.daemon.pods.upsert(broken)
    scene.daemon.upkeep.tick()
    shown = scene.daemon.registry.get_sample_value("k40s_rubicante_unreserved_pods")

    tasks = '[{"name":"x","period":"100ms","wcet":{"xeon":"1ms"}}]'
    repaired = replace(broken, annotations=annotations | {TASKS_KEY: tasks})
    scene.server.add(repaired)
    scene.daemon.pods.upsert(repaired)
    scene.daemon.upkeep.tick()
    early = scene.daemon.book.entries()
    scene.seconds = 11
    scene.daemon.upkeep.tick()

    assert (shown, early) == (1, ())
    assert scene.daemon.book.find(uid(3)) is not None
    assert scene.daemon.registry.get_sample_value("k40s_rubicante_unreserved_pods") == 0


def test_expiry_waits_for_the_api_server(scene: Scene) -> None:
    scene.open()
    scene.server.add(pod(1))
    scene.daemon.reservations.reserve(ask(1))
    scene.server.down = True
    scene.seconds = 61

    scene.daemon.upkeep.tick()

    assert len(scene.daemon.book.entries()) == 1


def test_a_node_without_the_mechanism_says_so_and_still_beats() -> None:
    scene = Scene()
    scene.kernel.files[PROC / "self" / "status"] = "CapEff:\t0\n"
    daemon = scene.make()

    scene.open(daemon)

    assert parse_cpu_state(published(scene)).mechanism == "none"
    assert scene.server.node.labels[REAL_TIME_LABEL] == "false"
    assert daemon.healthy() is None
    assert scene.server.beats == 1
    daemon.halt()
    scene.daemon.halt()


def test_a_dry_run_is_no_real_time_node() -> None:
    scene = Scene(replace(SETTINGS, dry_run=True))

    assert scene.daemon.capability.problems == ("dry run",)
    scene.daemon.halt()


def test_the_loops_enforce_what_is_reserved_while_they_run(scene: Scene) -> None:
    scene.daemon.start()
    wait_for(scene, lambda: scene.daemon.reservations.is_open)
    scene.server.add(pod(1))
    scene.daemon.reservations.reserve(ask(1))
    cgroup = CPU / f"k8s/kubepods/pod{uid(1)}/{container_id(1)}"
    tid = scene.kernel.spawn(scene.kernel.make_groups(cgroup), "ctl")

    scene.pods.deliver(pod(1, node=NODE))

    wait_for(scene, lambda: scene.kernel.threads[tid].policy == FIFO)
    wait_for(scene, lambda: scene.daemon.ready() is None)
    assert scene.daemon.healthy() is None
    scene.pods.stop()


def test_a_loop_that_stands_still_is_unhealthy(scene: Scene) -> None:
    scene.seconds = 31

    scene.open()

    assert scene.daemon.healthy() == "the enforcer has not looked for 30 s"
    assert scene.server.beats == 0


def wait_for(scene: Scene, condition: Callable[[], bool]) -> None:
    """The scene's clock goes on meanwhile, for looks that are due after a while."""
    waiting = threading.Event()
    for _ in range(12_000):
        if condition():
            return
        waiting.wait(0.01)
        scene.seconds += 0.01
    raise AssertionError("it never came true")
