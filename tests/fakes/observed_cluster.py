"""A cluster's objects as the API server lists them, from a few to 200 nodes, for overviews."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from k40s.annotations import (
    ALLOCATION_KEY,
    ASSURANCE_KEY,
    CPU_STATE_KEY,
    CRITICALITY_KEY,
    ENFORCED_CONDITION,
    PLATFORM_LABEL,
    REAL_TIME_LABEL,
    TASKS_KEY,
    CpuState,
    NodeAssurance,
    format_cpu_state,
    format_node_assurance,
)
from k40s.cpu.model import CpuNode, Reservation, Server, Task
from k40s.criticality import Criticality
from k40s.kube.objects.networks import network_record
from k40s.kube.objects.observed import event_record, observed_node, observed_pod
from k40s.kube.objects.read import lease_record
from k40s.node_api.allocation import format_allocation
from k40s.overview.build import build_overview
from k40s.overview.model import Overview
from k40s.overview.texts import ParsedTexts
from k40s.strict_json import format_json
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds, format_duration

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLATFORM = "edge"
_LEASE = Nanoseconds(30 * NS_PER_S)


def instant(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def reservation(
    uid: str,
    *,
    core: int = 1,
    budget_ms: int = 10,
    period_ms: int = 100,
    criticality: Criticality = Criticality.HI,
    container: str = "main",
    priority: int = 20,
) -> Reservation:
    """A server of one task that needs just its budget."""
    period = Nanoseconds(period_ms * NS_PER_MS)
    task = Task(
        name="control",
        wcet=Nanoseconds(budget_ms * NS_PER_MS // 2),
        period=period,
        deadline=period,
    )
    return Reservation(
        pod_uid=uid,
        container=container,
        core=core,
        criticality=criticality,
        server=Server(budget=Nanoseconds(budget_ms * NS_PER_MS), period=period),
        tasks=(task,),
        priorities=(priority,),
    )


def cpu_text(
    held: Sequence[Reservation] = (), *, cores: Sequence[int] = (1, 2), generation: int = 1
) -> str:
    """``node.k40s.io/cpu-state`` of a node that holds these."""
    node = CpuNode(
        cores=tuple(cores),
        tick=Nanoseconds(4 * NS_PER_MS),
        node_capacity=Fraction(19, 20),
        core_capacity=Fraction(9, 10),
        platform=PLATFORM,
        platform_factor=Fraction(1),
        reservations=tuple(held),
    )
    return format_cpu_state(
        CpuState(
            generation=generation,
            test="response-time",
            mechanism="rt-cgroup",
            endpoint="https://10.88.1.5:8441",
            lease=_LEASE,
            node=node,
            utilization=node.utilizations(),
            complete=True,
        )
    )


def assurance_text(*, state: int = 10, hazards: Sequence[str] = ()) -> str:
    """``node.k40s.io/assurance`` of a good node; a hazard lowers ``state``."""
    return format_node_assurance(
        NodeAssurance(
            hardware=5,
            software=3,
            state=state,
            observed=NOW,
            lease=_LEASE,
            hazards=tuple(hazards),
        )
    )


def node_item(
    name: str,
    *,
    held: Sequence[Reservation] = (),
    cores: Sequence[int] = (1, 2),
    ready: bool = True,
    annotations: Mapping[str, str | None] | None = None,
    labels: Mapping[str, str] | None = None,
    conditions: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """A real-time Node with both states; an annotation of None is left out."""
    texts: dict[str, str | None] = {
        CPU_STATE_KEY: cpu_text(held, cores=cores),
        ASSURANCE_KEY: assurance_text(),
        **(annotations or {}),
    }
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": "1",
            "labels": {REAL_TIME_LABEL: "true", PLATFORM_LABEL: PLATFORM, **(labels or {})},
            "annotations": {key: text for key, text in texts.items() if text is not None},
        },
        "status": {
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}, *conditions]
        },
    }


def pod_item(
    name: str,
    *,
    namespace: str = "plant",
    uid: str | None = None,
    node: str = "",
    criticality: str | None = "HI",
    held: Sequence[Reservation] = (),
    annotations: Mapping[str, str] | None = None,
    phase: str | None = None,
    conditions: Sequence[Mapping[str, str]] = (),
    deleting: bool = False,
) -> dict[str, Any]:
    """A Pod with one task for each server that it holds, and what it was granted."""
    uid = uid or f"uid-{name}"
    texts = {} if criticality is None else {CRITICALITY_KEY: criticality}
    if held:
        texts[TASKS_KEY] = format_json([_task(one) for one in held])
        texts[ALLOCATION_KEY] = format_allocation(held)
    shown = [dict(one) for one in conditions]
    if held and node:
        shown.append(
            {"type": ENFORCED_CONDITION, "status": "True", "reason": "Enforced", "message": "yes"}
        )
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid,
            "resourceVersion": "1",
            "creationTimestamp": instant(NOW - timedelta(hours=1)),
            "labels": {},
            "annotations": texts | dict(annotations or {}),
            **({"deletionTimestamp": instant(NOW)} if deleting else {}),
        },
        "spec": {
            "containers": [{"name": "main", "image": "app"}],
            "schedulerName": "k40s-scheduler",
            **({"nodeName": node} if node else {}),
        },
        "status": {
            "phase": phase or ("Running" if node else "Pending"),
            "conditions": shown,
            **({"startTime": instant(NOW - timedelta(minutes=50))} if node else {}),
        },
    }


def _task(held: Reservation) -> dict[str, object]:
    (task,) = held.tasks
    return {
        "name": task.name,
        "period": format_duration(task.period),
        "wcet": {PLATFORM: format_duration(task.wcet)},
    }


def lease_item(name: str, *, age: float = 2.0) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "k40s-system"},
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": 30,
            "renewTime": (NOW - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        },
    }


def event_item(
    reason: str,
    message: str,
    *,
    about: Mapping[str, str],
    component: str = "k40s-malacoda",
    age: float = 60.0,
    uid: str | None = None,
) -> dict[str, Any]:
    """An Event; ``about`` has kind, name, and namespace and uid where it has them."""
    time = instant(NOW - timedelta(seconds=age))
    name = about.get("name", "")
    return {
        "metadata": {"uid": uid or f"event-{reason}-{about.get('kind')}-{name}-{age}"},
        "involvedObject": dict(about),
        "reason": reason,
        "message": message,
        "source": {"component": component},
        "reportingComponent": component,
        "lastTimestamp": time,
    }


@dataclass
class ObservedCluster:
    """The objects of a cluster, as JSON."""

    nodes: list[dict[str, Any]] = field(default_factory=list)
    pods: list[dict[str, Any]] = field(default_factory=list)
    leases: list[dict[str, Any]] = field(default_factory=list)
    networks: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def add_node(self, name: str, **facts: Any) -> None:  # noqa: ANN401  # those of node_item
        """With current Leases of its daemons."""
        self.nodes.append(node_item(name, **facts))
        self.leases += [lease_item(f"{one}-{name}") for one in ("malacoda", "rubicante")]

    def records(self) -> dict[str, Any]:
        """The arguments of ``build_overview`` about objects."""
        return {
            "nodes": [observed_node(one) for one in self.nodes],
            "pods": [observed_pod(one) for one in self.pods],
            "leases": [lease_record(one) for one in self.leases],
            "networks": [network_record(one) for one in self.networks],
            "events": [event_record(one) for one in self.events],
        }

    def overview(self, *, now: datetime = NOW, texts: ParsedTexts | None = None) -> Overview:
        return build_overview(now=now, texts=texts, **self.records())


def crowded(nodes: int, pods: int, *, cores: int = 8) -> ObservedCluster:
    """Nodes with so many pods each, whose grants no longer fit into the published state."""
    cluster = ObservedCluster()
    for number in range(nodes):
        name = f"edge-{number}"
        held: list[Reservation] = []
        for index in range(pods):
            uid = f"{number:04x}{index:04x}-0000-4000-8000-{number * pods + index:012x}"
            server = reservation(
                uid,
                core=index % cores,
                budget_ms=2 + index % 5,
                criticality=Criticality.HI if index % 2 else Criticality.LOW,
                priority=1 + index,
            )
            held.append(server)
            cluster.pods.append(
                pod_item(
                    f"worker-{number}-{index}",
                    namespace=f"team-{index % 10}",
                    uid=uid,
                    node=name,
                    criticality=server.criticality.name,
                    held=[server],
                )
            )
        cluster.add_node(name, held=held, cores=range(cores))
    return cluster
