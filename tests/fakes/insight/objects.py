"""Nodes, pods and Leases as the API server has them, with what k40s publishes on them."""

from typing import Any

from k40s.annotations import (
    ALLOCATION_KEY,
    ASSURANCE_KEY,
    CPU_STATE_KEY,
    CRITICALITY_KEY,
    PLATFORM_LABEL,
    REAL_TIME_LABEL,
    TASKS_KEY,
    format_cpu_state,
    format_node_assurance,
)
from k40s.cpu.model import Reservation, Server, Task
from k40s.criticality import Criticality
from k40s.node_api.allocation import format_allocation
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.extender.world import make_assurance, make_cpu_node, make_cpu_state

CORES = 8
_TIME = "2026-03-01T12:00:00Z"


def uid_of(name: str) -> str:
    return f"uid-{name}"


def node_object(
    name: str, *, level: int = 15, cores: int = CORES, version: str = "1"
) -> dict[str, Any]:
    state = make_cpu_state(make_cpu_node(cores=range(1, cores + 1)))
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "uid": uid_of(name),
            "resourceVersion": version,
            "creationTimestamp": _TIME,
            "labels": {PLATFORM_LABEL: "edge", REAL_TIME_LABEL: "true"},
            "annotations": {
                ASSURANCE_KEY: format_node_assurance(make_assurance(level)),
                CPU_STATE_KEY: format_cpu_state(state),
            },
        },
        "spec": {},
        "status": {
            "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": _TIME, "message": "ok"}
            ]
        },
    }


def pod_object(
    name: str,
    *,
    namespace: str = "default",
    node: str = "",
    core: int = 1,
    priority: int = 10,
    version: str = "1",
    overruns: int = 0,
) -> dict[str, Any]:
    """A HI pod of one task; with a ``node`` it is bound there, and runs."""
    uid = uid_of(f"{namespace}-{name}")
    tasks = '[{"name": "control", "period": "100ms", "wcet": {"edge": "1ms"}}]'
    annotations = {TASKS_KEY: tasks, "example.org/turn": str(overruns)}
    if node:
        annotations[ALLOCATION_KEY] = format_allocation([_held(uid, core, priority)])
    running = {
        "phase": "Running",
        "startTime": _TIME,
        "conditions": [
            {
                "type": "k40s.io/enforced",
                "status": "True",
                "reason": "Enforced",
                "message": f"overruns: {overruns}",
                "lastTransitionTime": _TIME,
            }
        ],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid,
            "resourceVersion": version,
            "creationTimestamp": _TIME,
            "labels": {},
            "annotations": {CRITICALITY_KEY: "HI", **annotations},
        },
        "spec": {
            "containers": [{"name": "main", "image": "app"}],
            "schedulerName": "k40s-scheduler",
            **({"nodeName": node} if node else {}),
        },
        "status": running if node else {"phase": "Pending"},
    }


def lease_object(daemon: str, node: str, *, renewed: str) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"{daemon}-{node}",
            "namespace": "k40s-system",
            "uid": uid_of(f"{daemon}-{node}"),
            "resourceVersion": "1",
        },
        "spec": {
            "holderIdentity": node,
            "renewTime": renewed,
            "leaseDurationSeconds": 30,
        },
    }


def _held(uid: str, core: int, priority: int) -> Reservation:
    task = Task(
        name="control",
        wcet=Nanoseconds(NS_PER_MS),
        period=Nanoseconds(100 * NS_PER_MS),
        deadline=Nanoseconds(100 * NS_PER_MS),
    )
    return Reservation(
        pod_uid=uid,
        container="main",
        core=core,
        criticality=Criticality.HI,
        server=Server(budget=Nanoseconds(2 * NS_PER_MS), period=Nanoseconds(100 * NS_PER_MS)),
        tasks=(task,),
        priorities=(priority,),
    )
