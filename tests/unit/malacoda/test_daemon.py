import json
import logging
import shutil
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from prometheus_client import CollectorRegistry

from daemons.malacoda.__main__ import main
from daemons.malacoda.actuator.mode import CulpritMode
from daemons.malacoda.actuator.protocol import Answer, Request
from daemons.malacoda.daemon import REPORT_PERIOD, Malacoda
from daemons.malacoda.settings import Settings
from k40s.annotations import ASSURANCE_KEY, parse_node_assurance
from k40s.assurance.gamma import HIGHEST
from k40s.assurance.metrics import Metric
from k40s.assurance.profile import BUILT_IN, ProfileRule, format_profile
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from tests.fakes.malacoda.actuator import FakeConnection, Machine
from tests.fakes.malacoda.cgroups import uid
from tests.fakes.malacoda.culprit import FakePods, FakeUsage, pod_record
from tests.fakes.malacoda.world import FakeClock, FakeNode
from tests.fakes.usage_scene import Scene

TASKS = '[{"name":"t","period":"20ms","wcet":"2ms"}]'


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    shutil.copytree("tests/fixtures/proc", tmp_path / "proc")
    cpu = tmp_path / "sys/devices/system/cpu"
    cpu.mkdir(parents=True)
    (cpu / "online").write_text("0-1\n")
    return Settings(
        node_name="edge-1",
        proc_path=tmp_path / "proc",
        sys_path=tmp_path / "sys",
        sampling_period=Nanoseconds(100 * NS_PER_MS),
        listen_host="127.0.0.1",
        probe_port=0,
    )


@pytest.fixture
def _own_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def daemon(settings: Settings, clock: FakeClock) -> Iterator[Malacoda]:
    daemon = Malacoda(
        settings, gateway=FakeNode(), registry=CollectorRegistry(), clock=clock, now=clock.now
    )
    daemon.probes.start()
    yield daemon
    daemon.stop()


def get(daemon: Malacoda, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{daemon.probes.port}{path}"
    try:
        with urllib.request.urlopen(url, timeout=120) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_it_is_healthy_at_first_and_ready_once_it_has_published(
    daemon: Malacoda, clock: FakeClock
) -> None:
    assert get(daemon, "/healthz")[0] == 200
    status, text = get(daemon, "/readyz")
    assert (status, json.loads(text)["trouble"]) == (
        503,
        "the node's assurance is not published yet",
    )

    for _ in range(9):
        clock.pass_seconds(0.5)
        daemon.monitor.tick()
    daemon.publication.tick()

    assert get(daemon, "/readyz")[0] == 200
    assert "k40s_malacoda_level 10.0" in get(daemon, "/metrics")[1]


def test_it_samples_pods_once_it_knows_a_critical_one(settings: Settings, clock: FakeClock) -> None:
    usage = FakeUsage(Scene(seed=1))
    node = FakeNode({}, pod_record("critical", "HI"), pod_record("idle-a"))
    daemon = Malacoda(
        settings, gateway=node, registry=CollectorRegistry(), usage=usage, clock=clock
    )
    daemon.sample()
    assert usage.reads == []

    daemon.start()
    assert daemon.culprit is not None
    while not usage.reads:
        time.sleep(0.01)
    daemon.stop()

    assert daemon.culprit.pods.view.threatened is Criticality.HI
    assert usage.closed == 1
    assert not {"events", "sample"} & {thread.name for thread in threading.enumerate()}


def test_a_critical_pod_whose_threads_are_real_time_has_a_gauge_and_others_have_none(
    settings: Settings, clock: FakeClock
) -> None:
    critical = uid(1)
    thread = settings.proc_path / "777/task/777"
    thread.mkdir(parents=True)
    thread.parents[1].joinpath("cgroup").write_text(f"0::/kubepods/pod{critical}/x\n")
    fifo = " ".join(["S", *["0"] * 37, "1", *["0"] * 10])
    thread.joinpath("stat").write_text(f"777 (task) {fifo}\n")
    usage = FakeUsage(Scene(seed=1))
    daemon = Malacoda(
        settings, gateway=FakeNode(), registry=CollectorRegistry(), usage=usage, clock=clock
    )
    assert daemon.culprit is not None
    assert daemon.gauge is not None
    tasks = {"k40s.io/criticality": "LOW", "k40s.io/tasks": TASKS}
    daemon.culprit.pods.replace([pod_record(critical, annotations=tasks)])
    daemon.probes.start()

    harmed = []
    for _ in range(30):
        clock.pass_seconds(0.5)
        usage.pressure[critical] = usage.pressure.get(critical, 0) + 600
        daemon.sample()
        harmed.append(daemon.gauge.state.harmed)
    daemon.culprit.pods.upsert(pod_record(uid(2), "LOW"))
    clock.pass_seconds(0.5)
    daemon.sample()
    daemon.stop()

    assert harmed == [None] * 20 + [False] * 10
    assert daemon.monitor.state.harm.harmed is False
    assert daemon.gauge.state.harmed is None


def test_an_error_in_the_search_for_culprits_stops_neither_samples_nor_heartbeat(
    settings: Settings,
) -> None:
    class Broken(FakeUsage):
        def read(self, *_: object, **__: object) -> NoReturn:
            raise RuntimeError("unforeseen")

    node, registry = FakeNode({}, pod_record("critical", "HI")), CollectorRegistry()
    daemon = Malacoda(
        settings, gateway=node, registry=registry, usage=Broken(Scene(seed=1)), clock=FakeClock()
    )

    def errors() -> float:
        return registry.get_sample_value("k40s_malacoda_tick_errors_total") or 0

    def samples() -> float:
        return registry.get_sample_value("k40s_malacoda_sample_seconds_count") or 0

    daemon.start()
    while errors() < 2:
        time.sleep(0.01)
    before, beats = samples(), len(node.beats)
    while samples() < before + 2 or not node.beats:
        time.sleep(0.01)
    daemon.stop()

    assert len(node.beats) >= beats


def test_switched_off_it_neither_lists_pods_nor_exports_metrics_about_them(
    settings: Settings,
) -> None:
    class Node(FakeNode):
        def pods(self, *, node: str) -> FakePods:
            raise AssertionError(node)

    registry = CollectorRegistry()
    off = replace(settings, culprit=CulpritMode.OFF)
    daemon = Malacoda(off, gateway=Node(), registry=registry)
    daemon.probes.start()
    daemon.sample()
    daemon.stop()

    assert daemon.culprit is None
    assert registry.get_sample_value("k40s_malacoda_suspect") is None


def test_with_a_response_the_actuator_hears_of_every_sample_and_loses_its_peer_at_the_end(
    settings: Settings,
) -> None:
    machine = Machine()
    closed = threading.Event()

    class Connection(FakeConnection):
        calls = 0

        def ask(self, request: Request) -> Answer:
            self.calls += 1
            return super().ask(request)

        def close(self) -> None:
            closed.set()

    connection = Connection(machine)
    throttling = replace(settings, culprit=CulpritMode.THROTTLE)
    daemon = Malacoda(
        throttling,
        gateway=FakeNode({}, pod_record("critical", "HI"), pod_record("idle-a")),
        registry=CollectorRegistry(),
        usage=FakeUsage(Scene(seed=1)),
        actuator=connection,
    )
    daemon.start()
    while connection.calls < 3:
        time.sleep(0.01)
    daemon.stop()

    assert closed.is_set()
    assert "respond" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("mode", [CulpritMode.OFF, CulpritMode.NAME])
def test_without_a_response_no_actuator_is_asked(settings: Settings, mode: CulpritMode) -> None:
    registry = CollectorRegistry()
    naming = replace(settings, culprit=mode)
    daemon = Malacoda(naming, gateway=FakeNode(), registry=registry)
    daemon.probes.start()
    daemon.stop()

    assert daemon.response is None
    assert registry.get_sample_value("k40s_malacoda_actuator_up") is None


def test_pods_and_gauges_have_a_turn_with_each_sample_and_none_with_a_glance(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = FakeUsage(Scene(seed=1))
    naming = replace(settings, culprit=CulpritMode.NAME)
    daemon = Malacoda(naming, gateway=FakeNode(), registry=CollectorRegistry(), usage=usage)
    daemon.probes.start()
    assert daemon.culprit is not None
    assert daemon.gauge is not None
    turns: list[str] = []
    monkeypatch.setattr(daemon.gauge, "tick", lambda *, calm: turns.append(f"gauge {calm}"))
    monkeypatch.setattr(daemon.culprit.search, "tick", lambda: turns.append("search"))

    monkeypatch.setattr(daemon.monitor, "tick", lambda _: False)
    daemon.sample()
    assert turns == []
    monkeypatch.setattr(daemon.monitor, "tick", lambda _: True)
    daemon.sample()
    daemon.stop()

    assert turns == ["gauge True", "search"]


def test_it_is_not_healthy_when_samples_end(daemon: Malacoda, clock: FakeClock) -> None:
    daemon.monitor.tick()

    clock.pass_seconds(11)

    status, text = get(daemon, "/healthz")
    assert (status, json.loads(text)["trouble"]) == (503, "no sample of the node's CPUs for 10 s")


def test_its_loops_sample_and_publish_until_it_is_stopped(settings: Settings) -> None:
    written = threading.Event()

    class Node(FakeNode):
        def renew_lease(
            self, namespace: str, name: str, *, holder: str, duration: Nanoseconds
        ) -> None:
            super().renew_lease(namespace, name, holder=holder, duration=duration)
            written.set()

    node = Node()
    daemon = Malacoda(settings, gateway=node, registry=CollectorRegistry())
    daemon.start()

    assert written.wait(60)
    daemon.stop()

    assert ASSURANCE_KEY in node.annotations
    assert not {"sample", "report"} & {thread.name for thread in threading.enumerate()}


@pytest.mark.usefixtures("_own_logging")
def test_bad_settings_end_it_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main({"K40S_NODE_NAME": "edge-1", "K40S_LEASE": "30"}, threading.Event()) == 2

    assert "K40S_LEASE: found '30', expected a duration" in capsys.readouterr().err


def environment(settings: Settings, directory: Path) -> dict[str, str]:
    """Settings of a daemon whose API server does not answer."""
    cluster = {"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "clusters": [cluster],
        "contexts": [context],
        "users": [{"name": "u", "user": {}}],
    }
    (directory / "kubeconfig").write_text(json.dumps(kubeconfig))
    return {
        "K40S_NODE_NAME": "edge-1",
        "K40S_KUBECONFIG": str(directory / "kubeconfig"),
        "K40S_PROC_PATH": str(settings.proc_path),
        "K40S_SYS_PATH": str(settings.sys_path),
        "K40S_LISTEN_HOST": "127.0.0.1",
        "K40S_PROBE_PORT": "0",
    }


@pytest.mark.usefixtures("_own_logging")
def test_a_broken_profile_ends_it_at_once(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = tmp_path / "edge.json"
    profile.write_text(format_profile(BUILT_IN).replace('"raise": 0.5', '"raise": 50'))
    environ = environment(settings, tmp_path) | {"K40S_PROFILE_PATH": str(profile)}

    assert main(environ, threading.Event()) == 2

    said = capsys.readouterr().err
    assert f"K40S_PROFILE_PATH: {profile} at $.rules[0].raise: found 50, expected a share" in said


def test_without_a_profile_it_is_not_ready_and_says_why(settings: Settings, tmp_path: Path) -> None:
    profiles = tmp_path / "profiles"
    profiles.mkdir()
    node = FakeNode()
    node.labels["k40s.io/assurance-profile"] = "edge"
    clock = FakeClock()
    daemon = Malacoda(
        replace(settings, profile_path=profiles),
        gateway=node,
        registry=CollectorRegistry(),
        clock=clock,
    )
    daemon.probes.start()

    daemon.sample()
    daemon.publication.tick()
    status, text = get(daemon, "/readyz")
    daemon.stop()

    assert status == 503
    assert "no profile of rules: [Errno 2] No such file or directory" in text
    assert [reason for _, reason, _ in node.written] == ["ProfileRefused"]
    assert node.writes == node.beats == []


@pytest.mark.parametrize(
    ("setting", "profile", "software", "milliseconds"),
    [(100, 250, "5", 100), (None, 250, "5", 250), (None, None, "5", 1000), (None, None, "1", 500)],
)
def test_the_sampling_period_is_the_operators_or_the_profiles_or_follows_the_isolation(
    settings: Settings,
    tmp_path: Path,
    setting: int | None,
    profile: int | None,
    software: str,
    milliseconds: int,
) -> None:
    path = tmp_path / "edge.json"
    period = None if profile is None else Nanoseconds(profile * NS_PER_MS)
    path.write_text(format_profile(replace(BUILT_IN, name="edge", period=period)))
    chosen = None if setting is None else Nanoseconds(setting * NS_PER_MS)
    daemon = Malacoda(
        replace(settings, profile_path=path, sampling_period=chosen),
        gateway=FakeNode({"k40s.io/software-assurance": software}),
        registry=CollectorRegistry(),
        clock=FakeClock(),
    )
    daemon.probes.start()

    daemon.publication.tick()
    found = daemon.sampling_period()
    daemon.stop()

    assert found == milliseconds * NS_PER_MS


@pytest.mark.parametrize(("metric", "every"), [("cpu-steal", 450), ("softirq-rcu", 0)])
def test_what_no_rule_needs_is_read_twice_a_second_at_most(
    settings: Settings, tmp_path: Path, metric: str, every: int
) -> None:
    path = tmp_path / "edge.json"
    (entry, *_) = BUILT_IN.entries
    rule = replace(entry.rule, metric=Metric(metric))
    profile = replace(BUILT_IN, name="edge", entries=(ProfileRule(rule=rule),))
    path.write_text(format_profile(profile))
    registry = CollectorRegistry()
    clock = FakeClock()
    daemon = Malacoda(
        replace(settings, profile_path=path), gateway=FakeNode(), registry=registry, clock=clock
    )

    for _ in range(11):
        clock.pass_seconds(0.1)
        daemon.sample()
    details = {daemon.monitor.state.counters.details_at}  # type: ignore[union-attr]  # sampled
    daemon.probes.start()
    daemon.stop()

    assert details == {(1100 if every == 0 else 1000) * NS_PER_MS}


def test_it_reads_a_critical_pods_own_metric(settings: Settings) -> None:
    metric = '{"port": 9, "metric": "m", "above": 1}'
    annotations = {"k40s.io/criticality": "HI", "k40s.io/metric": metric}
    pod = pod_record("a", annotations=annotations, host_network=True)
    node = FakeNode({}, pod)
    daemon = Malacoda(settings, gateway=node, registry=CollectorRegistry())

    daemon.start()
    while not node.written:
        time.sleep(0.01)
    daemon.stop()

    assert [(about.name, reason) for about, reason, _ in node.written] == [
        ("a", "MetricUnreadable")
    ]
    assert not {"pod-metrics", "pod-events"} & {thread.name for thread in threading.enumerate()}


@pytest.mark.usefixtures("_own_logging")
def test_it_runs_until_it_is_told_to_stop(settings: Settings, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    assert main(environment(settings, tmp_path), stop) == 0


class Stress:
    """/proc/stat of two CPUs that are idle, or in the kernel, as simulated time passes."""

    def __init__(self, proc: Path) -> None:
        self._path = proc / "stat"
        self._lines = self._path.read_text().splitlines()
        self._ticks = {"system": 1000, "idle": 1000}
        self.active = False

    def pass_ticks(self, ticks: int) -> None:
        self._ticks["system" if self.active else "idle"] += ticks
        own = f"1000 0 {self._ticks['system']} {self._ticks['idle']} 0 0 0 0 0 0"
        lines = [
            f"{line.split()[0]} {own}" if line.startswith("cpu") else line for line in self._lines
        ]
        self._path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("tenths", [1, 2, 3, 5])
@pytest.mark.parametrize("phase", [0, 2])
def test_a_downgrade_is_published_within_a_second_after_the_timeout(
    settings: Settings, clock: FakeClock, tenths: int, phase: int
) -> None:
    """By the loops' own periods, in simulated time; reports come at any phase of the samples."""
    node, stress = FakeNode(), Stress(settings.proc_path)
    settings = replace(settings, sampling_period=Nanoseconds(tenths * 100 * NS_PER_MS))
    daemon = Malacoda(
        settings, gateway=node, registry=CollectorRegistry(), clock=clock, now=clock.now
    )
    daemon.probes.start()
    alarmed: int | None = None
    published: int | None = None
    every = REPORT_PERIOD // (50 * NS_PER_MS)
    for turn in range(300):
        clock.pass_seconds(0.05)
        stress.active = turn >= 150
        stress.pass_ticks(5)
        if turn % (2 * tenths) == 0:
            daemon.sample()
            if alarmed is None and daemon.monitor.state.hazards:
                alarmed = clock.time
        if turn % every == phase:
            daemon.publication.tick()
            text = node.annotations.get(ASSURANCE_KEY)
            lowered = text is not None and parse_node_assurance(text).state < HIGHEST
            published = clock.time if lowered and published is None else published
    daemon.stop()

    assert alarmed is not None
    assert published is not None
    late = published - alarmed - settings.policy.timeout
    assert 0 <= late <= NS_PER_S
