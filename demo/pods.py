"""The pods of the story, as Kubernetes manifests."""

import json
from collections.abc import Mapping

NAMESPACE = "default"
SCHEDULER = "k40s-scheduler"
WORKLOAD_IMAGE = "localhost/k40s-workload:dev"
PLATFORM = "edge"
LABEL = "app.kubernetes.io/part-of=k40s-demo"

OVERRUN = """\
open('/proc/self/comm', 'w').write({task!r})
while True:
    pass
"""
"""A task that never ends its job: what it gets is what the kernel lets it have."""

PERIODIC = """\
import os, time
open('/proc/self/comm', 'w').write({task!r})
while os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK not in (1, 2, 6):
    time.sleep(0.01)
release = time.monotonic_ns()
worst = misses = jobs = 0
while True:
    begin = time.thread_time_ns()
    while time.thread_time_ns() - begin < {work}:
        pass
    response = time.monotonic_ns() - release
    worst, jobs = max(worst, response), jobs + 1
    misses += response > {deadline}
    print(jobs, misses, worst, flush=True)
    release = max(release + {period}, time.monotonic_ns() - {period})
    time.sleep(max(0, release - time.monotonic_ns()) / 1e9)
"""
"""A task that keeps its WCET, once FIFO, RR or DEADLINE holds it (manifests/examples/periodic.py).

It prints after each job: jobs, misses, worst response in ns.
"""

Manifest = Mapping[str, object]


def real_time_pod(name: str, *, criticality: str, script: str, tasks: list[object]) -> Manifest:
    """A pod with real-time tasks: annotations are all that its team writes."""
    return _pod(
        name,
        annotations={"k40s.io/criticality": criticality, "k40s.io/tasks": json.dumps(tasks)},
        command=["python3", "-c", script],
    )


def sleeping_pod(name: str, *, criticality: str) -> Manifest:
    """A pod without real-time tasks that does nothing."""
    return _pod(
        name, annotations={"k40s.io/criticality": criticality}, command=["sleep", "infinity"]
    )


def slot_pod(name: str, *, network: str, payload: int, period: str) -> Manifest:
    """A pod that needs a slot of a TDMA network, for one packet in each period."""
    slot = {"payload": f"{payload}B", "period": period}
    return _pod(
        name,
        annotations={"k40s.io/network": json.dumps([{"network": network, "slot": slot}])},
        command=["sleep", "infinity"],
    )


def stress_pod(name: str, *, node: str, stressor: str, workers: int, seconds: int) -> Manifest:
    """A NO pod that runs stress-ng on a node for a bounded time."""
    command = ["stress-ng", f"--{stressor}", str(workers), "--timeout", f"{seconds}s"]
    return _pod(
        name,
        annotations={"k40s.io/criticality": "NO"},
        command=command,
        selector={"kubernetes.io/hostname": node},
    )


def _pod(
    name: str,
    *,
    annotations: Mapping[str, str],
    command: list[str],
    selector: Mapping[str, str] | None = None,
) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": dict([LABEL.split("=")]),
            "annotations": dict(annotations),
        },
        "spec": {
            "schedulerName": SCHEDULER,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "nodeSelector": dict(selector or {}),
            "containers": [
                {
                    "name": "main",
                    "image": WORKLOAD_IMAGE,
                    "imagePullPolicy": "Never",
                    "command": command,
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                }
            ],
        },
    }
