"""The extender in a small world of fakes: clock, nodes with heartbeats, API server, rubicante."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from prometheus_client import CollectorRegistry

from extender.assembly.adapters import Adapters
from extender.assembly.tables import Tables
from extender.assembly.verbs import make_verbs
from extender.metrics import ExtenderMetrics
from extender.monitoring.unadmitted import UnadmittedPods
from extender.placement.admission_cache import AdmissionCache
from extender.placement.node_queries import NodeQueries
from extender.placement.pod_admission import Check
from extender.preemption.whole_states import WholeStates
from extender.scheduler_calls import SchedulerCalls
from extender.settings import ExtenderSettings
from k40s.annotations import (
    ASSURANCE_CLASS_LABEL,
    ASSURANCE_KEY,
    CPU_STATE_KEY,
    CRITICALITY_KEY,
    NETWORK_KEY,
    NETWORK_STATE_KEY,
    PLATFORM_LABEL,
    REAL_TIME_LABEL,
    TASKS_KEY,
    CpuState,
    NetworkNodeState,
    NodeAssurance,
    format_cpu_state,
    format_network_state,
    format_node_assurance,
    parse_cpu_state,
)
from k40s.annotations.cpu_state import MAX_WHOLE_STATE
from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.exchange import Exchange, arrived, completed, overlapping
from k40s.cpu.admission.resynthesis import admit_or_exchange
from k40s.cpu.model import CpuNode, PodDemand, Reservation
from k40s.cpu.outcome import ADMISSION_TEST, Admission, Admit, Rejection
from k40s.cpu.workload import Workload, resolve
from k40s.criticality import Criticality
from k40s.explanation.json import parse_explanation
from k40s.explanation.model import Explanation
from k40s.kube.records import LeaseRecord, NodeRecord, ObjectRef, PodRecord
from k40s.kube.transport import ConflictError, NotFoundError
from k40s.network.model import Network
from k40s.node_api.client import DaemonError
from k40s.node_api.messages import AdmissionAnswer, ReservationRequest
from k40s.reasons import Reason
from k40s.tenants.ledger import TenantState
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from tests.fakes.extender.networks import FakeNetworks, FakeStations
from tests.fakes.extender.tenants import FakeTenants

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
    networks: object = None,
    labels: Mapping[str, str] | None = None,
    containers: Sequence[str] = ("main",),
    resource_version: str = "1",
    runtime_class: str | None = None,
) -> dict[str, object]:
    """A core/v1 Pod as kube-scheduler sends it; tasks and networks are text, or values for JSON."""
    annotations = {}
    if criticality is not None:
        annotations[CRITICALITY_KEY] = criticality
    if tasks is not None:
        annotations[TASKS_KEY] = tasks if isinstance(tasks, str) else json.dumps(tasks)
    if networks is not None:
        annotations[NETWORK_KEY] = networks if isinstance(networks, str) else json.dumps(networks)
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": uid or f"uid-{name}",
            "labels": dict(labels or {}),
            "annotations": annotations,
            "resourceVersion": resource_version,
        },
        "spec": {
            "containers": [{"name": c, "image": "app"} for c in containers],
            **({} if runtime_class is None else {"runtimeClassName": runtime_class}),
        },
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


def make_assurance(level: int, *, reduced: int = 0, hazards: tuple[str, ...] = ()) -> NodeAssurance:
    """A level of which a hazard has taken ``reduced``; below 10 it takes what is missing."""
    state = min(level, 10 - reduced)
    hardware = min(level - state, 5)
    return NodeAssurance(
        hardware=hardware,
        software=level - state - hardware,
        state=state,
        observed=START,
        lease=LEASE,
        hazards=hazards,
    )


def make_node(
    name: str,
    *,
    level: int | None = None,
    reduced: int = 0,
    hazards: tuple[str, ...] = (),
    cpu: CpuState | str | None = None,
    stations: NetworkNodeState | str | None = None,
    real_time: bool | None = None,
    classed: bool = False,
    platform: str = PLATFORM,
    resource_version: str = "1",
) -> NodeRecord:
    annotations = {}
    if level is not None:
        assurance = make_assurance(level, reduced=reduced, hazards=hazards)
        annotations[ASSURANCE_KEY] = format_node_assurance(assurance)
    if cpu is not None:
        annotations[CPU_STATE_KEY] = cpu if isinstance(cpu, str) else format_cpu_state(cpu)
    if stations is not None:
        text = stations if isinstance(stations, str) else format_network_state(stations)
        annotations[NETWORK_STATE_KEY] = text
    if real_time is None:
        real_time = cpu is not None
    return NodeRecord(
        name=name,
        labels={
            PLATFORM_LABEL: platform,
            **({REAL_TIME_LABEL: "true"} if real_time else {}),
            **({ASSURANCE_CLASS_LABEL: "HI"} if classed else {}),
        },
        annotations=annotations,
        resource_version=resource_version,
    )


def make_pod_record(
    uid: str,
    *,
    node: str = "",
    millis: int = 0,
    phase: str = "Pending",
    name: str = "pod",
    annotations: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    resource_version: str = "1",
    deleting: bool = False,
    runtime_class: str = "",
) -> PodRecord:
    return PodRecord(
        uid=uid,
        namespace="default",
        name=name,
        node=node,
        phase=phase,
        labels=dict(labels or {}),
        annotations=dict(annotations or {}),
        containers=("main",),
        container_ids={},
        deleting=deleting,
        cpu_request_millis=millis,
        scheduler="k40s-scheduler",
        resource_version=resource_version,
        runtime_class=runtime_class,
    )


def record_of(pod: Mapping[str, object], **changes: object) -> PodRecord:
    """The same pod as the API server has it."""
    meta = pod["metadata"]
    assert isinstance(meta, dict)
    spec = pod["spec"]
    assert isinstance(spec, dict)
    facts = {
        "name": meta["name"],
        "labels": meta["labels"],
        "annotations": meta["annotations"],
        "runtime_class": spec.get("runtimeClassName", ""),
    }
    return make_pod_record(meta["uid"], **(facts | changes))


def built_in(name: str) -> Admit | None:
    """Find the one test that comes with k40s."""
    return admit if name == ADMISSION_TEST else None


class FakeRubicante:
    """Keeps the book of one node with the real admission; ``fault`` makes calls fail.

    ``journal`` records the calls, and may be shared with other fakes to see their order. With
    ``loses_answers``, what was asked for is done, and the caller does not hear of it;
    ``on_reserved`` is what happens just after a reservation. ``granted`` is answered instead of the
    real grant. ``on_state`` is what happens just before the state is read. Where it ``exchanges``
    servers of pods for one that has no room, that is done at once.
    """

    def __init__(self, node: CpuNode, journal: list[str] | None = None) -> None:
        self.node = node
        self.generation = 1
        self.journal = [] if journal is None else journal
        self.reserve_fault: Exception | None = None
        self.release_fault: Exception | None = None
        self.reserve_reason: Reason | None = None
        self.query_fault: Exception | None = None
        self.query_reason: Reason | None = None
        self.on_state: Callable[[], object] = lambda: None
        self.loses_answers = False
        self.on_reserved: Callable[[str], object] = lambda _uid: None
        self.lock = threading.RLock()
        self.asked: dict[str, Workload] = {}
        self.granted: tuple[Reservation, ...] = ()
        self.attempts: dict[str, set[str]] = {}
        self.withdrawn: set[str] = set()
        self.exchanges = False

    def forget(self) -> None:
        """Begin with an empty node again."""
        with self.lock:
            self.node = replace(self.node, reservations=())
            self.asked.clear()
            self.attempts.clear()

    def query_admission(
        self, endpoint: str, request: ReservationRequest, *, timeout: Nanoseconds
    ) -> AdmissionAnswer:
        assert timeout > 0
        self.journal.append(f"query {request.pod.uid} at {endpoint}")
        if self.query_fault is not None:
            raise self.query_fault
        if self.query_reason is not None:
            return self._answer(self.query_reason)
        demand = resolve(
            request.workload,
            pod_uid=request.pod.uid,
            platform=self.node.platform,
            factor=self.node.platform_factor,
        )
        outcome = self._admit(demand) if isinstance(demand, PodDemand) else demand
        if isinstance(outcome, Admission):
            return self._answer(None, outcome.granted, outcome.node)
        if isinstance(outcome, Exchange):
            return replace(self._answer(None, outcome.granted), exchange=True)
        return self._answer(outcome.reason if isinstance(outcome, Rejection) else outcome)

    def read_state(self, endpoint: str, *, timeout: Nanoseconds) -> CpuState:
        assert timeout > 0
        self.journal.append(f"state at {endpoint}")
        if self.query_fault is not None:
            raise self.query_fault
        self.on_state()
        whole = make_cpu_state(self.node, generation=self.generation)
        return parse_cpu_state(format_cpu_state(whole, at_most=MAX_WHOLE_STATE))

    def reserve(
        self, endpoint: str, request: ReservationRequest, *, attempt: str
    ) -> AdmissionAnswer:
        with self.lock:
            self.journal.append(f"reserve {request.pod.uid} at {endpoint}")
            if self.reserve_fault is not None:
                raise self.reserve_fault
            if attempt in self.withdrawn:
                return self._answer(Reason.POD_WITHDRAWN)
            answer = self._reserve(request)
            if answer.schedulable:
                self.attempts.setdefault(request.pod.uid, set()).add(attempt)
                self.on_reserved(request.pod.uid)
            if self.loses_answers:
                raise DaemonError("timed out", reason=Reason.CPU_DAEMON_BUSY)
            return answer

    def _reserve(self, request: ReservationRequest) -> AdmissionAnswer:
        if self.reserve_reason is not None:
            return self._answer(self.reserve_reason)
        uid = request.pod.uid
        held = tuple(r for r in self.node.reservations if r.pod_uid == uid)
        if held and self.asked.get(uid) == request.workload:
            return self._answer(None, held)
        if request.generation not in (None, self.generation):
            return self._answer(Reason.CPU_STALE_GENERATION)
        demand = resolve(
            request.workload,
            pod_uid=request.pod.uid,
            platform=self.node.platform,
            factor=self.node.platform_factor,
        )
        if not isinstance(demand, PodDemand):
            return self._answer(demand)
        outcome = self._admit(demand)
        if isinstance(outcome, Rejection):
            return self._answer(outcome.reason)
        self.node = (
            outcome.node if isinstance(outcome, Admission) else exchanged(self.node, outcome)
        )
        self.asked[uid] = request.workload
        self.attempts[uid] = set()
        self.generation += 1
        return self._answer(None, self.granted or outcome.granted)

    def _admit(self, demand: PodDemand) -> Admission | Exchange | Rejection:
        return (admit_or_exchange if self.exchanges else admit)(self.node, demand)

    def would_fit(self, uid: str) -> bool:
        """Whether another pod of the workload that every pod here asked for finds room."""
        workload, *others = self.asked.values()
        assert all(other == workload for other in others)
        demand = resolve(
            workload,
            pod_uid=uid,
            platform=self.node.platform,
            factor=self.node.platform_factor,
        )
        return isinstance(demand, PodDemand) and isinstance(admit(self.node, demand), Admission)

    def withdraw(self, endpoint: str, uid: str, *, attempt: str, timeout: Nanoseconds) -> None:
        assert timeout > 0
        with self.lock:
            self.journal.append(f"withdraw {uid} at {endpoint}")
            if self.release_fault is not None:
                raise self.release_fault
            self.withdrawn.add(attempt)
            waiting = self.attempts.get(uid, set())
            if attempt in waiting:
                waiting.remove(attempt)
                if not waiting:
                    self.node = self.node.without(uid)
                    self.generation += 1

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


def exchanged(node: CpuNode, exchange: Exchange) -> CpuNode:
    """The node with the pod, after all steps."""
    for step in exchange.steps:
        both = overlapping(node, step)
        assert both is not None
        node = completed(both, step)
    after = arrived(node, exchange)
    assert after is not None
    return after


class FakeBindings:
    """The API server's pods and bindings.

    A pod that is in ``by_name`` is bound on the API server's own conditions: at that version of it,
    and once. ``on_bind`` is what happens just before a Binding arrives, ``on_bound`` just after.
    """

    def __init__(self, journal: list[str] | None = None) -> None:
        self.on_bind: Callable[[], object] = lambda: None
        self.on_bound: Callable[[], object] = lambda: None
        self.versions: list[str] = []
        self.events: dict[tuple[str, str], str] = {}
        self.event_fault: Exception | None = None
        self.by_name: dict[tuple[str, str], PodRecord] = {}
        self.bound: dict[str, tuple[str, dict[str, str]]] = {}
        self.journal = [] if journal is None else journal
        self.fault: Exception | None = None
        self.get_fault: Exception | None = None

    def get_pod(
        self, namespace: str, name: str, *, timeout: Nanoseconds | None = None
    ) -> PodRecord | None:
        assert timeout is not None
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
        resource_version: str,
        node: str,
        annotations: Mapping[str, str],
        timeout: Nanoseconds | None = None,
    ) -> None:
        self.journal.append(f"bind {uid} to {node}")
        self.versions.append(resource_version)
        assert timeout is not None
        assert resource_version
        self.on_bind()
        if self.fault is not None:
            raise self.fault
        pod = self.by_name.get((namespace, name))
        if pod is not None:
            if (pod.uid, pod.resource_version, pod.node) != (uid, resource_version, ""):
                raise ConflictError("409 the pod is not as it was")
            self.by_name[namespace, name] = replace(
                pod,
                node=node,
                annotations={**pod.annotations, **annotations},
                resource_version=f"{resource_version}0",
            )
        self.bound[uid] = (node, dict(annotations))
        self.on_bound()

    def create_event(
        self,
        about: ObjectRef,
        *,
        reason: str,
        message: str,
        component: str,
        warning: bool = False,
        once: str = "",
    ) -> None:
        assert (about.kind, component, warning) == ("Pod", "k40s-extender", True)
        self.journal.append(f"event {about.uid}")
        if self.event_fault is not None:
            raise self.event_fault
        if (about.uid, once) in self.events:
            raise ConflictError("409 there is such an event")
        self.events[about.uid, once] = f"{reason}: {message}"


class FakeNodes:
    """The API server's Nodes and Leases, as they are now."""

    def __init__(self) -> None:
        self.node_records: dict[str, NodeRecord] = {}
        self.lease_records: dict[str, LeaseRecord] = {}
        self.removed: list[tuple[str, str]] = []
        self.node_fault: Exception | None = None
        self.write_faults: dict[str, Exception] = {}

    def get_node(self, name: str) -> NodeRecord | None:
        return self.node_records.get(name)

    def get_lease(self, namespace: str, name: str) -> LeaseRecord | None:
        assert namespace
        if self.node_fault is not None:
            raise self.node_fault
        return self.lease_records.get(name)

    def remove_labels(self, name: str, labels: Sequence[str], *, version: str) -> None:
        if name in self.write_faults:
            raise self.write_faults[name]
        node = self.node_records.get(name)
        if node is None:
            raise NotFoundError(name)
        if node.resource_version != version:
            raise ConflictError(name)
        self.removed += [(name, label) for label in labels]
        kept = {key: text for key, text in node.labels.items() if key not in labels}
        self.node_records[name] = replace(node, labels=kept)


@dataclass
class World:
    """Everything between the bodies and the fakes is the real extender."""

    clock: FakeClock = field(default_factory=FakeClock)
    journal: list[str] = field(default_factory=list)
    node: CpuNode = field(default_factory=make_cpu_node)
    patience: Nanoseconds = Nanoseconds(NS_PER_S)
    catch_up_timeout: Nanoseconds = Nanoseconds(0)
    admissions: AdmissionCache = field(default_factory=lambda: AdmissionCache(tests=built_in))
    on_clock: Callable[[], int] | None = None
    cpu: FakeRubicante = None  # type: ignore[assignment]  # one of the node and the journal
    network_timeout: Nanoseconds = Nanoseconds(NS_PER_S)
    bind_timeout: Nanoseconds = Nanoseconds(NS_PER_S)
    networks: FakeNetworks = None  # type: ignore[assignment]  # likewise
    stations: FakeStations = None  # type: ignore[assignment]  # likewise
    tenants: FakeTenants = None  # type: ignore[assignment]  # likewise
    pods: "FakeBindings" = None  # type: ignore[assignment]  # likewise
    name: str = "attempt"
    checks: tuple[Check, ...] = ()
    classes: Mapping[Criticality, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        clock = self.on_clock or self.clock.monotonic
        self.cpu = self.cpu or FakeRubicante(self.node, self.journal)
        self.pods = self.pods or FakeBindings(self.journal)
        self.networks = self.networks or FakeNetworks(self.journal)
        self.stations = self.stations or FakeStations(self.journal)
        self.tenants = self.tenants or FakeTenants(self.journal)
        self.registry = CollectorRegistry()
        self.metrics = ExtenderMetrics(self.registry)
        settings = self._settings()
        tables = self.tables = Tables(settings, clock=clock, wall=self.clock.wall)
        self.cache, self.workloads, self.watched_pods = tables.nodes, tables.workloads, tables.pods
        self.network_table, self.tenant_table = tables.networks, tables.tenants
        self.places, self.bound_pods = tables.places, tables.bound_pods
        self.claims, self.runtimes = tables.claims, tables.runtimes
        self.unadmitted = UnadmittedPods(
            pods=self.watched_pods,
            nodes=self.cache,
            events=self.pods,
            counted=self.metrics.misplaced,
            clock=clock,
        )
        self.calls = SchedulerCalls()
        self.pauses: list[Nanoseconds] = []
        self.pause_ends: Callable[[], object] = lambda: None
        attempts = iter(range(1, 1_000_000))
        adapters = Adapters(
            bindings=self.pods,
            networks=self.networks,
            tenants=self.tenants,
            cpu=self.cpu,
            stations=self.stations,
            queries=NodeQueries(nodes=self.cpu, clock=clock, calls=4),
            states=WholeStates(
                nodes=self.cpu, tests=built_in, pause=self._pause, clock=clock, calls=2
            ),
            tests=built_in,
            admissions=self.admissions,
            clock=clock,
            wall=self.clock.wall,
            pause=self._pause,
            calls=self.calls,
            jitter=lambda: 0.5,
            name_attempt=lambda: f"{self.name}-{next(attempts)}",
        )
        self.verbs = make_verbs(settings, tables, adapters, self.metrics, further=self.checks)

    def _settings(self) -> ExtenderSettings:
        return ExtenderSettings(
            filter_patience=self.patience,
            settling_time=self.catch_up_timeout,
            bind_timeout=self.bind_timeout,
            network_timeout=self.network_timeout,
            tenant_timeout=self.network_timeout,
            station_timeout=Nanoseconds(NS_PER_S),
            runtime_classes=tuple(f"{one.name}={name}" for one, name in self.classes.items()),
        )

    def bound_by(self, *tenants: TenantState) -> None:
        """The API server and the watch have these Tenants."""
        for tenant in tenants:
            self.tenant_table.feed.upsert(self.tenants.declare(tenant))

    def watch_tenants(self) -> None:
        """The watch reports all Tenants as they are at the API server."""
        self.tenant_table.feed.replace(self.tenants.records())

    def _pause(self, pause: Nanoseconds) -> None:
        self.pauses.append(pause)
        self.clock.advance(pause / NS_PER_S)
        self.pause_ends()

    def declare(self, *networks: Network) -> None:
        """The API server and the watch have these Networks."""
        for network in networks:
            self.network_table.feed.upsert(self.networks.declare(network))

    def watch_networks(self) -> None:
        """The watch reports all Networks as they are at the API server."""
        for record in self.networks.records():
            self.network_table.feed.upsert(record)

    def watch_pod(self, record: PodRecord) -> None:
        """The watch reports a pod, to all caches."""
        self.tables.pod_feed.upsert(record)

    def plan(self, uid: str, protected: Sequence[str] = ()) -> dict[str, object]:
        """The answer to the controller."""
        body = {
            "PodUID": uid,
            "PodNamespace": "default",
            "PodName": "pod",
            "Protected": list(protected),
        }
        answer: dict[str, object] = json.loads(
            self.verbs.preemption_plan(json.dumps(body).encode())
        )
        return answer

    def add(self, *records: NodeRecord, alive: bool = True) -> None:
        for record in records:
            self.cache.nodes.upsert(record)
            if alive:
                self.beat(record.name)

    def beat(self, node: str, *daemons: str) -> None:
        """Renew the Leases of a node's daemons."""
        for daemon in daemons or ("malacoda", "rubicante", "scarmiglione"):
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

    def explain(self, pod: object, names: Sequence[str] = ()) -> Explanation:
        """The explanation of a pod, as insight reads it."""
        reply = self.verbs.explain(make_args(pod, names))
        return parse_explanation(reply.decode(), source="reply")

    def dry_run(self, pod: object, names: Sequence[str]) -> dict[str, object]:
        answer: dict[str, object] = json.loads(self.verbs.dry_run(make_args(pod, names)))
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
