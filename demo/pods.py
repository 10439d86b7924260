"""The pods of the story, as Kubernetes manifests."""

import json
from collections.abc import Mapping

from k40s.units import NS_PER_MS

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

SERVICE = """\
import time
while True:
    late = []
    for _ in range(200):
        due = time.monotonic_ns() + 10_000_000
        time.sleep(0.01)
        late.append(time.monotonic_ns() - due)
    late.sort()
    print(f'{late[100] / 1e6:.1f}/{late[-2] / 1e6:.1f}', flush=True)
"""
"""Prints every two seconds how late it wakes, in ms: the median, and the 99th percentile."""

Manifest = Mapping[str, object]


def real_time_pod(
    name: str, *, criticality: str, script: str, tasks: list[object], namespace: str = NAMESPACE
) -> Manifest:
    """A pod with real-time tasks: annotations are all that its team writes."""
    return _pod(
        name,
        annotations={"k40s.io/criticality": criticality, "k40s.io/tasks": json.dumps(tasks)},
        command=["python3", "-c", script],
        namespace=namespace,
    )


def periodic_pod(
    name: str, *, criticality: str, wcet: object, period_ms: int, namespace: str = NAMESPACE
) -> Manifest:
    """A pod with one task of this period, which computes for 1 ms in each."""
    period = period_ms * NS_PER_MS
    script = PERIODIC.format(task=name, work=NS_PER_MS, period=period, deadline=period)
    tasks: list[object] = [{"name": name, "period": f"{period_ms}ms", "wcet": wcet}]
    return real_time_pod(
        name, criticality=criticality, script=script, tasks=tasks, namespace=namespace
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


def service_deployment(name: str) -> Manifest:
    """A HI Deployment of one pod, which prints by how much its wake-ups are late."""
    annotations = {"k40s.io/criticality": "HI"}
    return deployment_of(_pod(name, annotations=annotations, command=["python3", "-c", SERVICE]))


def deployment_of(pod: Manifest, *, replicas: int = 1) -> Manifest:
    """A Deployment of such pods, with the pod's name; they have the label ``app`` of that name."""
    metadata: dict[str, object] = dict(pod["metadata"])  # type: ignore[call-overload]  # a mapping
    spec: dict[str, object] = dict(pod["spec"])  # type: ignore[call-overload]  # as above
    name, part = metadata["name"], dict([LABEL.split("=")])
    selector = {"app": name}
    template = {
        "metadata": {"labels": part | selector, "annotations": metadata["annotations"]},
        "spec": spec | {"restartPolicy": "Always"},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": part},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": selector},
            "template": template,
        },
    }


def stress_pod(
    name: str, *, node: str, stressor: str, workers: int, seconds: int, criticality: str = "NO"
) -> Manifest:
    """A pod that runs stress-ng on a node for a bounded time."""
    command = ["stress-ng", f"--{stressor}", str(workers), "--timeout", f"{seconds}s"]
    return _pod(
        name,
        annotations={"k40s.io/criticality": criticality},
        command=command,
        selector={"kubernetes.io/hostname": node},
    )


def _pod(
    name: str,
    *,
    annotations: Mapping[str, str],
    command: list[str],
    selector: Mapping[str, str] | None = None,
    namespace: str = NAMESPACE,
) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
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
