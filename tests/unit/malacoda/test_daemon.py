import json
import logging
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from daemons.malacoda.__main__ import main
from daemons.malacoda.daemon import Malacoda
from daemons.malacoda.settings import Settings
from k40s.annotations import ASSURANCE_KEY
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.malacoda_world import FakeClock, FakeNode


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
    daemon.reporter.tick()

    assert get(daemon, "/readyz")[0] == 200
    assert "k40s_malacoda_level 10.0" in get(daemon, "/metrics")[1]


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


@pytest.mark.usefixtures("_own_logging")
def test_it_runs_until_it_is_told_to_stop(settings: Settings, tmp_path: Path) -> None:
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
    (tmp_path / "kubeconfig").write_text(json.dumps(kubeconfig))
    stop = threading.Event()
    stop.set()
    environ = {
        "K40S_NODE_NAME": "edge-1",
        "K40S_KUBECONFIG": str(tmp_path / "kubeconfig"),
        "K40S_PROC_PATH": str(settings.proc_path),
        "K40S_SYS_PATH": str(settings.sys_path),
        "K40S_LISTEN_HOST": "127.0.0.1",
        "K40S_PROBE_PORT": "0",
    }

    assert main(environ, stop) == 0
