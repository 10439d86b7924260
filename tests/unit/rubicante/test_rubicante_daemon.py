"""Rubicante put together: its loops, what it publishes, when it beats; and its settings."""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from daemons.rubicante import __main__ as program
from daemons.rubicante.daemon import Daemon
from daemons.rubicante.entry import Phase
from daemons.rubicante.settings import Settings
from k40s.annotations import (
    ALLOCATION_KEY,
    CPU_STATE_KEY,
    CRITICALITY_KEY,
    PLATFORM_FACTOR_KEY,
    PLATFORM_LABEL,
    REAL_TIME_LABEL,
    TASKS_KEY,
    parse_cpu_state,
)
from k40s.runtime.settings import SettingsError, read_settings
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from tests.fakes.rubicante_api_server import NODE, FakeApiServer, FakePodSource, FakeStore
from tests.fakes.rubicante_kernel import CPU, FIFO, PROC, FakeKernel
from tests.fakes.rubicante_world import ask, container_id, pod, uid

SETTINGS = Settings(
    node_name=NODE,
    pod_ip="10.0.0.1",
    cpus=(1,),
    cgroup_root="/k8s",
    cpu_cgroup_path=CPU,
    proc_path=PROC,
    group_prefix="rt",
    tick=Nanoseconds(4 * NS_PER_MS),
)


class Scene:
    """A daemon whose loops the test turns by hand."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.kernel = FakeKernel()
        self.server = FakeApiServer()
        self.store = FakeStore()
        self.pods = FakePodSource(self.server)
        self.seconds = 0.0
        self.daemon = self.make(settings)

    def make(self, settings: Settings = SETTINGS) -> Daemon:
        return Daemon(
            settings,
            system=self.kernel,
            gateway=self.server,
            pods=self.pods,
            store=self.store,
            clock=lambda: self.seconds,
        )

    def open(self, daemon: Daemon | None = None) -> None:
        made = daemon or self.daemon
        keeper = made.keeper
        keeper.beat()
        made.pods.replace(self.pods.list().records)
        made.informer.synchronized.set()
        keeper.keep()
        keeper.publish()
        keeper.beat()


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.daemon.halt()


def published(scene: Scene) -> str:
    assert scene.server.node is not None
    return scene.server.node.annotations[CPU_STATE_KEY]


def test_is_not_ready_until_node_pods_and_publication_are_there(scene: Scene) -> None:
    keeper = scene.daemon.keeper
    troubles = [keeper.trouble()]
    keeper.keep()
    keeper.publish()
    keeper.beat()
    troubles.append(keeper.trouble())
    scene.daemon.informer.synchronized.set()
    troubles.append(keeper.trouble())
    scene.open()

    assert troubles == [
        "the node's platform is not known yet",
        "the node's pods are not known yet",
        "the node's state is not published",
    ]
    assert keeper.trouble() is None


def test_publishes_state_and_label_and_beats(scene: Scene) -> None:
    scene.open()

    state = parse_cpu_state(published(scene))
    assert (state.mechanism, state.endpoint) == ("rt-cgroup", "https://10.0.0.1:8441")
    assert (state.node.cores, state.node.platform) == ((1,), "xeon")
    assert state.node.node_capacity == Fraction(95, 100)
    assert scene.server.node.labels[REAL_TIME_LABEL] == "true"
    assert scene.server.beats == 1


def test_publishes_on_change_only(scene: Scene) -> None:
    scene.open()

    for _ in range(3):
        scene.daemon.keeper.publish()
    quiet = len(scene.server.patches)
    scene.server.add(pod(1))
    scene.daemon.reservations.reserve(ask(1))
    scene.daemon.keeper.publish()

    assert (quiet, len(scene.server.patches)) == (1, 2)
    assert parse_cpu_state(published(scene)).generation == 2


def test_writes_again_what_someone_else_has_changed(scene: Scene) -> None:
    scene.open()
    ours = published(scene)
    scene.server.patch_node(NODE, annotations={CPU_STATE_KEY: "forged"})

    scene.seconds += 10
    scene.daemon.keeper.beat()
    scene.daemon.keeper.publish()

    assert published(scene) == ours


def test_a_beat_is_good_for_a_third_of_the_lease(scene: Scene) -> None:
    scene.open()

    for _ in range(5):
        scene.daemon.keeper.beat()

    assert scene.server.beats == 1


def test_does_not_beat_for_a_state_that_is_not_published(scene: Scene) -> None:
    scene.daemon.keeper.beat()
    scene.daemon.keeper.beat()

    assert scene.server.beats == 0


def test_an_api_server_that_is_away_is_no_end(scene: Scene) -> None:
    scene.open()
    scene.server.add(pod(1))
    scene.daemon.reservations.reserve(ask(1))
    scene.server.down = True

    scene.daemon.keeper.publish()
    troubled = scene.daemon.keeper.trouble()
    scene.seconds += 10
    scene.daemon.keeper.beat()
    scene.server.down = False
    scene.daemon.keeper.publish()
    scene.daemon.keeper.beat()

    assert troubled == "the node's state is not published"
    assert scene.daemon.keeper.trouble() is None
    assert scene.server.beats == 2


def test_an_unknown_node_is_waited_for(scene: Scene) -> None:
    scene.server.node = None

    scene.daemon.keeper.beat()

    assert scene.daemon.keeper.trouble() == "the node's platform is not known yet"


def test_a_platform_factor_that_is_none_fails_closed(scene: Scene) -> None:
    scene.open()
    scene.server.patch_node(NODE, annotations={PLATFORM_FACTOR_KEY: "fast"})

    scene.seconds += 10
    scene.daemon.keeper.beat()

    assert scene.daemon.keeper.trouble() == "the node's platform is not known yet"
    assert scene.server.beats == 1


def test_a_new_platform_is_taken_over_and_published(scene: Scene) -> None:
    scene.open()
    scene.server.patch_node(
        NODE, labels={PLATFORM_LABEL: "arm"}, annotations={PLATFORM_FACTOR_KEY: "3/2"}
    )

    scene.seconds += 10
    scene.daemon.keeper.beat()
    scene.daemon.keeper.publish()

    node = parse_cpu_state(published(scene)).node
    assert (node.platform, node.platform_factor) == ("arm", Fraction(3, 2))


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
    scene.daemon.keeper.keep()
    shown = scene.daemon.registry.get_sample_value("k40s_rubicante_unreserved_pods")

    tasks = '[{"name":"x","period":"100ms","wcet":{"xeon":"1ms"}}]'
    repaired = replace(broken, annotations=annotations | {TASKS_KEY: tasks})
    scene.server.add(repaired)
    scene.daemon.pods.upsert(repaired)
    scene.daemon.keeper.keep()
    early = scene.daemon.book.entries()
    scene.seconds = 11
    scene.daemon.keeper.keep()

    assert (shown, early) == (1, ())
    assert scene.daemon.book.find(uid(3)) is not None
    assert scene.daemon.registry.get_sample_value("k40s_rubicante_unreserved_pods") == 0


def test_expiry_waits_for_the_api_server(scene: Scene) -> None:
    scene.open()
    scene.server.add(pod(1))
    scene.daemon.reservations.reserve(ask(1))
    scene.server.down = True
    scene.seconds = 61

    scene.daemon.keeper.keep()

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
    wait_for(lambda: scene.daemon.reservations.is_open)
    scene.server.add(pod(1))
    scene.daemon.reservations.reserve(ask(1))
    cgroup = CPU / f"k8s/kubepods/pod{uid(1)}/{container_id(1)}"
    tid = scene.kernel.spawn(scene.kernel.make_groups(cgroup), "ctl")

    scene.pods.tell(pod(1, node=NODE))

    wait_for(lambda: scene.kernel.threads[tid].policy == FIFO)
    wait_for(lambda: scene.daemon.keeper.trouble() is None)
    assert scene.daemon.healthy() is None
    scene.pods.stop()


def test_a_loop_that_stands_still_is_unhealthy(scene: Scene) -> None:
    scene.seconds = 31

    scene.open()

    assert scene.daemon.healthy() == "the enforcer has not looked for 30 s"
    assert scene.server.beats == 0


def wait_for(condition: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(1000):
        if condition():
            return
        waiting.wait(0.01)
    raise AssertionError("it never came true")


def test_settings_come_from_the_environment() -> None:
    environ = {
        "K40S_NODE_NAME": "edge-1",
        "K40S_POD_IP": "fd00::1",
        "K40S_CPUS": "1-2",
        "K40S_RT_CAPACITY": "0.45",
        "K40S_LEASE": "15s",
        "K40S_CPU_CGROUP_PATH": "/host/cpu",
    }

    settings = read_settings(Settings, environ)

    assert settings.endpoint == "https://[fd00::1]:8441"
    assert settings.cpus == (1, 2)
    assert settings.rt_capacity == Fraction(45, 100)
    assert settings.lease == 15 * NS_PER_S
    assert settings.cpu_cgroup_path == Path("/host/cpu")
    assert settings.tick is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("LEASE", "1ms"), ("RT_CAPACITY", "-1"), ("CORE_CAPACITY", "2"), ("RESERVATION_LEASE", "1")],
)
def test_settings_that_make_no_sense_are_reported(name: str, value: str) -> None:
    environ = {"K40S_NODE_NAME": "n", "K40S_POD_IP": "10.0.0.1", "K40S_CPUS": "1"}

    with pytest.raises(SettingsError, match=name):
        read_settings(Settings, environ | {f"K40S_{name}": value})


def test_the_program_ends_with_the_text_of_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in os.environ if name.startswith("K40S_")]:
        monkeypatch.delenv(name)

    with pytest.raises(SystemExit, match="K40S_CPUS: not set"):
        program.main()
