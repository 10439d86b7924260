"""A daemon that is gone: its nodes are fit for nothing critical, say so, and come back with it."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cli.demo import stage_of
from demo.pods import OVERRUN, Manifest, real_time_pod, sleeping_pod
from demo.stage import Stage
from localcluster.cluster import Cluster
from tests.e2e.patience import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

_CLASS = "node.k40s.io/assurance-class"


def _confine_malacoda(cluster: Cluster, selector: dict[str, str | None]) -> None:
    patch = {"spec": {"template": {"spec": {"nodeSelector": selector}}}}
    cluster.kubectl(
        *("--namespace=k40s-system", "patch", "daemonset", "malacoda"),
        f"--patch={json.dumps(patch)}",
    )


def _classes(cluster: Cluster) -> list[str]:
    nodes = json.loads(cluster.kubectl("get", "nodes", "--output=json"))["items"]
    return [node["metadata"]["labels"].get(_CLASS, "") for node in nodes]


@pytest.fixture
def stage(cluster: Cluster) -> Iterator[Stage]:
    """The story's stage; malacoda is everywhere again at its end."""
    stage = stage_of(cluster)
    try:
        yield stage
    finally:
        _confine_malacoda(cluster, {"nowhere": None})
        stage.observer.delete("waiting")


def test_a_dead_daemon_loses_its_label_and_a_returning_one_gets_the_pod_that_waited(
    cluster: Cluster, stage: Stage
) -> None:
    _confine_malacoda(cluster, {"nowhere": "true"})
    wait_until(
        "the labels of silent nodes are withdrawn",
        lambda: not any(_classes(cluster)),
        seconds=150,
    )
    stage.observer.create(sleeping_pod("waiting", criticality="LOW"))
    wait_until("the pod is refused", lambda: stage.observer.refusals("waiting"), seconds=60)
    refusal = stage.observer.refusals("waiting")

    _confine_malacoda(cluster, {"nowhere": None})

    wait_until(
        "the pod that waited is placed", lambda: stage.observer.node_of("waiting"), seconds=120
    )
    wait_until("every node has its class again", lambda: all(_classes(cluster)), seconds=60)
    assert "assurance.stale" in refusal


LEASE_SECONDS = 30.0
PROMISED_SECONDS = 15.0
"""From a daemon's return until a pod that was refused meanwhile is placed."""
_NET_SECONDS = 60.0
TASK = {"name": "loop", "period": "100ms", "wcet": {"edge": "2ms"}}
PODS: dict[str, tuple[Manifest, str]] = {
    "malacoda": (sleeping_pod("waiting", criticality="LOW"), "assurance.stale"),
    "rubicante": (
        real_time_pod(
            "waiting", criticality="HI", script=OVERRUN.format(task="loop"), tasks=[TASK]
        ),
        "cpu.state-stale",
    ),
}


def processes_of(cluster: Cluster, daemon: str) -> list[int]:
    """The daemon's processes on this machine, which holds all nodes of this cluster, and others."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            named = f"daemons.{daemon}".encode() in path.read_bytes().split(b"\0")
            if named and f":/k40s-{cluster.name}-" in (path.parent / "cgroup").read_text():
                found.append(int(path.parent.name))
    return found


@contextmanager
def stopped(cluster: Cluster, daemon: str) -> Iterator[None]:
    """The daemon stands still everywhere, for less time than kubelet's probes give it."""
    processes = processes_of(cluster, daemon)
    assert processes
    try:
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)


@pytest.mark.parametrize("daemon", ["malacoda", "rubicante"])
def test_a_pod_that_a_silent_daemon_kept_waiting_is_placed_soon_after_its_return(
    cluster: Cluster, stage: Stage, daemon: str
) -> None:
    pod, reason = PODS[daemon]
    with stopped(cluster, daemon):
        threading.Event().wait(LEASE_SECONDS + 5)
        stage.observer.create(pod)
        wait_until(
            "it is refused", lambda: reason in stage.observer.refusals("waiting"), seconds=20
        )
        returned = time.monotonic()

    wait_until("it is placed", lambda: stage.observer.node_of("waiting"), seconds=_NET_SECONDS)

    took = time.monotonic() - returned
    print(f"{daemon}: placed {took:.1f} s after its return, {PROMISED_SECONDS:.0f} s promised")  # noqa: T201
