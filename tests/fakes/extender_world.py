"""The extender in a small world of fakes: clock, nodes with heartbeats, API server, rubicante."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from prometheus_client import CollectorRegistry

from extender.bind import Binder
from extender.contracts import Contracts
from extender.filter import Test
from extender.inquiry import Inquiry
from extender.memory import AdmissionMemory
from extender.metrics import ExtenderMetrics
from extender.nodes import NodeCache
from extender.settling import Settling
from extender.verbs import Verbs
from k40s.annotations import (
    ASSURANCE_KEY,
    CPU_STATE_KEY,
    CRITICALITY_KEY,
    REAL_TIME_LABEL,
    TASKS_KEY,
    CpuState,
    NodeAssurance,
    format_cpu_state,
    format_node_assurance,
)
from k40s.assurance.level import Thresholds
from k40s.cpu.admission import admit
from k40s.cpu.model import CpuNode, PodDemand, Reservation
from k40s.cpu.outcome import ADMISSION_TEST, Admission, Rejection
from k40s.cpu.workload import resolve
from k40s.node_api import AdmissionAnswer, ReservationRequest
from k40s.reasons import Reason
from k40s.runtime.records import LeaseRecord, NodeRecord, PodRecord
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEASE = Nanoseconds(30 * NS_PER_S)
PLATFORM = "edge"


@dataclass
class FakeClock:
    """Monotonic nanoseconds and wall time, which a test advances together."""

    now: int = 1_000 * NS_PER_S

    def monotonic(self) -> int:
        return self.now

    def wall(self) -> datetime:
        return START + timedelta(microseconds=(self.now - 1_000 * NS_PER_S) // 1_000)

    def advance(self, seconds: float) -> None:
        self.now += int(seconds * NS_PER_S)


def make_pod(
    name: str = "pod",
    *,
    uid: str | None = None,
    criticality: str | None = None,
    tasks: object = None,
    labels: Mapping[str, str] | None = None,
    containers: Sequence[str] = ("main",),
) -> dict[str, object]:
    """A core/v1 Pod as kube-scheduler sends it; ``tasks`` is text, or a value for JSON."""
    annotations = {}
    if criticality is not None:
        annotations[CRITICALITY_KEY] = criticality
    if tasks is not None:
        annotations[TASKS_KEY] = tasks if isinstance(tasks, str) else json.dumps(tasks)
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": uid or f"uid-{name}",
            "labels": dict(labels or {}),
            "annotations": annotations,
        },
        "spec": {"containers": [{"name": c, "image": "app"} for c in containers]},
        "status": {"phase": "Pending"},
    }


def make_task(
    wcet: str = "20ms", period: str = "100ms", name: str = "control"
) -> dict[str, object]:
    return {"name": name, "period": period, "wcet": {PLATFORM: wcet}}


def make_args(pod: object, names: Sequence[str]) -> bytes:
    return json.dumps({"Pod": pod, "Nodes": None, "NodeNames": list(names)}).encode()


def make_cpu_node(
    *,
    cores: Sequence[int] = (1,),
    reservations: Sequence[Reservation] = (),
    tick: Nanoseconds = Nanoseconds(4 * NS_PER_MS),
    node_capacity: Fraction = Fraction(19, 20),
) -> CpuNode:
    return CpuNode(
        cores=tuple(cores),
        tick=tick,
        node_capacity=node_capacity,
        core_capacity=Fraction(9, 10),
        platform=PLATFORM,
        platform_factor=Fraction(1),
        reservations=tuple(reservations),
    )


def make_cpu_state(node: CpuNode | None = None, **changes: object) -> CpuState:
    node = node or make_cpu_node()
    facts: dict[str, object] = {
        "generation": 1,
        "test": ADMISSION_TEST,
        "mechanism": "rt-cgroup",
        "endpoint": "https://10.88.1.5:8441",
        "lease": LEASE,
        "node": node,
        "utilization": {core: node.utilization(core) for core in node.cores},
        "complete": True,
    }
    return CpuState(**(facts | changes))  # type: ignore[arg-type]  # tests change single fields


def make_assurance(level: int) -> NodeAssurance:
    state = min(level, 10)
    hardware = min(level - state, 5)
    return NodeAssurance(
        hardware=hardware,
        software=level - state - hardware,
        state=state,
        observed=START,
        lease=LEASE,
    )


def make_node(
    name: str,
    *,
    level: int | None = None,
    cpu: CpuState | str | None = None,
    real_time: bool | None = None,
) -> NodeRecord:
    annotations = {}
    if level is not None:
        annotations[ASSURANCE_KEY] = format_node_assurance(make_assurance(level))
    if cpu is not None:
        annotations[CPU_STATE_KEY] = cpu if isinstance(cpu, str) else format_cpu_state(cpu)
    if real_time is None:
        real_time = cpu is not None
    return NodeRecord(
        name=name,
        labels={REAL_TIME_LABEL: "true"} if real_time else {},
        annotations=annotations,
        resource_version="1",
    )


def make_pod_record(
    uid: str,
    *,
    node: str = "",
    millis: int = 0,
    phase: str = "Pending",
    name: str = "pod",
    annotations: Mapping[str, str] | None = None,
) -> PodRecord:
    return PodRecord(
        uid=uid,
        namespace="default",
        name=name,
        node=node,
        phase=phase,
        labels={},
        annotations=dict(annotations or {}),
        containers=("main",),
        container_ids={},
        deleting=False,
        cpu_request_millis=millis,
        scheduler="k40s-scheduler",
    )


def built_in(name: str) -> Test | None:
    """Find the one test that comes with k40s."""
    return admit if name == ADMISSION_TEST else None


class FakeRubicante:
    """Keeps the book of one node with the real admission; ``fault`` makes calls fail.

    ``journal`` records the calls, and may be shared with other fakes to see their order.
    """

    def __init__(self, node: CpuNode, journal: list[str] | None = None) -> None:
        self.node = node
        self.generation = 1
        self.journal = [] if journal is None else journal
        self.reserve_fault: Exception | None = None
        self.release_fault: Exception | None = None
        self.reserve_reason: Reason | None = None
        self.judge_fault: Exception | None = None
        self.judge_reason: Reason | None = None

    def judge(
        self, endpoint: str, request: ReservationRequest, *, timeout: Nanoseconds
    ) -> AdmissionAnswer:
        assert timeout > 0
        self.journal.append(f"judge {request.pod.uid} at {endpoint}")
        if self.judge_fault is not None:
            raise self.judge_fault
        if self.judge_reason is not None:
            return self._answer(self.judge_reason)
        demand = resolve(
            request.workload,
            pod_uid=request.pod.uid,
            platform=self.node.platform,
            factor=self.node.platform_factor,
        )
        outcome = admit(self.node, demand) if isinstance(demand, PodDemand) else demand
        if isinstance(outcome, Admission):
            return self._answer(None, outcome.granted, outcome.node)
        return self._answer(outcome.reason if isinstance(outcome, Rejection) else outcome)

    def reserve(self, endpoint: str, request: ReservationRequest) -> AdmissionAnswer:
        self.journal.append(f"reserve {request.pod.uid} at {endpoint}")
        if self.reserve_fault is not None:
            raise self.reserve_fault
        if self.reserve_reason is not None:
            return self._answer(self.reserve_reason)
        held = tuple(r for r in self.node.reservations if r.pod_uid == request.pod.uid)
        if held:
            return self._answer(None, held)
        demand = resolve(
            request.workload,
            pod_uid=request.pod.uid,
            platform=self.node.platform,
            factor=self.node.platform_factor,
        )
        if not isinstance(demand, PodDemand):
            return self._answer(demand)
        outcome = admit(self.node, demand)
        if isinstance(outcome, Rejection):
            return self._answer(outcome.reason)
        self.node = outcome.node
        self.generation += 1
        return self._answer(None, outcome.granted)

    def release(self, endpoint: str, uid: str) -> None:
        self.journal.append(f"release {uid} at {endpoint}")
        if self.release_fault is not None:
            raise self.release_fault
        self.node = self.node.without(uid)

    def _answer(
        self,
        reason: Reason | None,
        granted: tuple[Reservation, ...] = (),
        after: CpuNode | None = None,
    ) -> AdmissionAnswer:
        return AdmissionAnswer(
            schedulable=reason is None,
            reason=reason,
            utilization=(after or self.node).utilizations(),
            granted=granted,
            generation=self.generation,
        )


class FakeBindings:
    """The API server's pods and bindings."""

    def __init__(self, journal: list[str] | None = None) -> None:
        self.by_name: dict[tuple[str, str], PodRecord] = {}
        self.bound: dict[str, tuple[str, dict[str, str]]] = {}
        self.journal = [] if journal is None else journal
        self.fault: Exception | None = None
        self.get_fault: Exception | None = None

    def get_pod(self, namespace: str, name: str) -> PodRecord | None:
        self.journal.append(f"get {namespace}/{name}")
        if self.get_fault is not None:
            raise self.get_fault
        return self.by_name.get((namespace, name))

    def create_binding(
        self,
        *,
        namespace: str,
        name: str,
        uid: str,
        node: str,
        annotations: Mapping[str, str],
        timeout: Nanoseconds | None = None,
    ) -> None:
        self.journal.append(f"bind {uid} to {node}")
        assert timeout is not None
        assert namespace
        assert name
        if self.fault is not None:
            raise self.fault
        self.bound.setdefault(uid, (node, dict(annotations)))


@dataclass
class World:
    """Everything between the bodies and the fakes is the real extender."""

    clock: FakeClock = field(default_factory=FakeClock)
    journal: list[str] = field(default_factory=list)
    node: CpuNode = field(default_factory=make_cpu_node)
    patience: Nanoseconds = Nanoseconds(NS_PER_S)
    moment: Nanoseconds = Nanoseconds(0)
    memory: AdmissionMemory = field(default_factory=lambda: AdmissionMemory(tests=built_in))
    on_clock: Callable[[], int] | None = None
    cpu: FakeRubicante = None  # type: ignore[assignment]  # one of the node and the journal

    def __post_init__(self) -> None:
        clock = self.on_clock or self.clock.monotonic
        self.cpu = self.cpu or FakeRubicante(self.node, self.journal)
        self.pods = FakeBindings(self.journal)
        self.contracts = Contracts()
        self.registry = CollectorRegistry()
        self.metrics = ExtenderMetrics(self.registry)
        self.cache = NodeCache(thresholds=Thresholds(), clock=clock, wall=self.clock.wall)
        self.binder = Binder(
            cache=self.cache,
            contracts=self.contracts,
            memory=self.memory,
            cpu=self.cpu,
            pods=self.pods,
            timeout=Nanoseconds(NS_PER_S),
        )
        self.verbs = Verbs(
            cache=self.cache,
            contracts=self.contracts,
            memory=self.memory,
            bind=self.binder.bind,
            metrics=self.metrics,
            settling=Settling(cache=self.cache, clock=clock, moment=self.moment),
            inquiry=Inquiry(nodes=self.cpu, clock=clock, calls=4),
            clock=clock,
            patience=self.patience,
        )

    def add(self, *records: NodeRecord, alive: bool = True) -> None:
        for record in records:
            self.cache.nodes.upsert(record)
            if alive:
                self.beat(record.name)

    def beat(self, node: str, *daemons: str) -> None:
        """Renew the Leases of a node's daemons."""
        for daemon in daemons or ("malacoda", "rubicante"):
            self.cache.leases.upsert(
                LeaseRecord(
                    name=f"{daemon}-{node}",
                    holder=node,
                    renewed=self.clock.wall(),
                    duration=LEASE,
                )
            )

    def filter(self, pod: object, names: Sequence[str]) -> dict[str, object]:
        answer: dict[str, object] = json.loads(self.verbs.filter(make_args(pod, names)))
        return answer

    def prioritize(self, pod: object, names: Sequence[str]) -> dict[str, int]:
        answer = json.loads(self.verbs.prioritize(make_args(pod, names)))
        return {entry["Host"]: entry["Score"] for entry in answer}

    def bind(self, pod: Mapping[str, object], node: str) -> str:
        meta = pod["metadata"]
        assert isinstance(meta, dict)
        body = {
            "PodName": meta["name"],
            "PodNamespace": meta["namespace"],
            "PodUID": meta["uid"],
            "Node": node,
        }
        error: str = json.loads(self.verbs.bind(json.dumps(body).encode()))["Error"]
        return error
