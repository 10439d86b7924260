"""This node's pods, from the informer: criticality, and which of them are never suspected."""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from k40s.annotations import METRIC_KEY, PodMetric, parse_pod_metric, read_workload
from k40s.assurance.detector import Victim
from k40s.assurance.suspects.usage import PodIdentity
from k40s.cpu.workload import Workload
from k40s.criticality import Criticality
from k40s.errors import InvalidAnnotationError
from k40s.kube.records import ObjectRef, PodRecord

_MIRROR = "kubernetes.io/config.mirror"
"""On the API object of a static pod; its value is the uid in the names of the pod's cgroups."""
_SYSTEM_NAMESPACE = "kube-system"
_SYSTEM_CLASS = "system-"
"""Begins the names of Kubernetes' own priority classes; the API server refuses others with it."""
_DECISIVE = frozenset(
    {
        *("labels", "annotations", "priority_class", "phase"),
        *("containers", "sidecars", "init_containers"),
    }
)
"""Fields of a record without which nobody knows what the pod is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEndpoint:
    """Where a LOW or HI pod's metric of its own is read; ``uid`` is that in its cgroups' names.

    ``metric`` is None where ``fault`` says why there is nothing to read.
    """

    uid: str
    pod: ObjectRef
    address: str
    metric: PodMetric | None
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """The node's pods, by the uid in the names of their cgroups.

    ``threatened`` is the highest criticality among them: what a hazard may harm. The pods of that
    criticality are ``critical``, unless it is NO. ``real_time`` are those with real-time tasks,
    ``deleting`` those that are being deleted. ``victims`` are the kinds of threads that LOW and HI
    pods have, ``endpoints`` the metrics of their own.
    """

    identities: Mapping[str, PodIdentity] = field(default_factory=dict)
    references: Mapping[str, ObjectRef] = field(default_factory=dict)
    deleting: frozenset[str] = frozenset()
    threatened: Criticality = Criticality.NO
    critical: frozenset[str] = frozenset()
    real_time: frozenset[str] = frozenset()
    victims: frozenset[Victim] = frozenset()
    endpoints: tuple[MetricEndpoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _NodePod:
    """A pod of this node; ``static`` is the uid in its cgroups' names where that is another."""

    reference: ObjectRef
    identity: PodIdentity
    real_time: bool
    victims: frozenset[Victim]
    endpoint: MetricEndpoint | None
    deleting: bool
    static: str = ""


class NodePods:
    """The informer's handler. ``view`` is immutable and read by other threads."""

    def __init__(self, *, namespaces: Collection[str]) -> None:
        """Pods in ``namespaces`` are protected: k40s's own."""
        self.view = PodView()
        self._namespaces = frozenset({_SYSTEM_NAMESPACE, *namespaces})
        self._lock = threading.Lock()
        self._pods: dict[str, _NodePod] = {}

    def replace(self, records: Sequence[PodRecord]) -> None:
        """These are all pods of this node."""
        with self._lock:
            present = {record.uid for record in records}
            for uid in self._pods.keys() - present:
                del self._pods[uid]
            self._put(records)
            self._show()

    def merge(self, records: Sequence[PodRecord]) -> None:
        """These pods are on this node; there may be others."""
        with self._lock:
            self._put(records)

    def upsert(self, record: PodRecord) -> None:
        """A pod is new here, or has changed."""
        with self._lock:
            self._put([record])

    def delete(self, key: str) -> None:
        """A pod is gone."""
        with self._lock:
            if self._pods.pop(key, None) is not None:
                self._show()

    def _put(self, records: Sequence[PodRecord]) -> None:
        before = self._pods
        self._pods = dict(before)
        for record in records:
            if record.ended:
                self._pods.pop(record.uid, None)
            else:
                self._pods[record.uid] = self._read(record)
        if self._pods != before:
            self._show()

    def _show(self) -> None:
        # A pod's own uid counts for more than another's annotation.
        pods = {pod.static: pod for pod in self._pods.values() if pod.static} | {
            uid: pod for uid, pod in self._pods.items() if not pod.static
        }
        identities = {uid: pod.identity for uid, pod in pods.items()}
        threatened = max((i.criticality for i in identities.values()), default=Criticality.NO)
        self.view = PodView(
            identities=identities,
            references={uid: pod.reference for uid, pod in pods.items()},
            threatened=threatened,
            deleting=frozenset(uid for uid, pod in pods.items() if pod.deleting),
            critical=frozenset(
                uid
                for uid, identity in identities.items()
                if identity.criticality is threatened is not Criticality.NO
            ),
            victims=frozenset[Victim]().union(*(pod.victims for pod in pods.values())),
            endpoints=tuple(pod.endpoint for pod in pods.values() if pod.endpoint is not None),
            real_time=frozenset(uid for uid, pod in pods.items() if pod.real_time),
        )

    def _read(self, record: PodRecord) -> _NodePod:
        """What a record says; one that cannot be understood is protected."""
        workload = _workload(record)
        criticality = Criticality.NO if workload is None else workload.criticality
        reference = ObjectRef(
            kind="Pod", namespace=record.namespace, name=record.name, uid=record.uid
        )
        return _NodePod(
            reference=reference,
            identity=PodIdentity(
                name=f"{record.namespace}/{record.name}",
                criticality=criticality,
                protected=workload is None or self._is_system(record),
            ),
            real_time=workload is not None and workload.is_real_time,
            victims=frozenset() if workload is None else _victims(workload, record),
            endpoint=None if criticality is Criticality.NO else _endpoint(record, reference),
            deleting=record.deleting,
            static=record.annotations.get(_MIRROR, ""),
        )

    def _is_system(self, record: PodRecord) -> bool:
        return (
            record.namespace in self._namespaces
            or record.priority_class.startswith(_SYSTEM_CLASS)
            or _MIRROR in record.annotations
        )


def _workload(record: PodRecord) -> Workload | None:
    if any(fault.field in _DECISIVE for fault in record.faults):
        return None
    try:
        return read_workload(
            labels=record.labels,
            annotations=record.annotations,
            containers=record.containers,
            sidecars=record.sidecars,
            init_containers=record.init_containers,
            held=True,
        )
    except InvalidAnnotationError:
        return None


def _victims(workload: Workload, record: PodRecord) -> frozenset[Victim]:
    """What a hazard can harm in a pod: its tasks, and the containers that have none.

    Other threads beside the tasks of a container do not count: where they matter, they are tasks.
    """
    if workload.criticality is Criticality.NO:
        return frozenset()
    with_tasks = {task.container for task in workload.tasks}
    victims = {Victim.REAL_TIME} if with_tasks else set()
    if not {*record.containers, *record.sidecars} <= with_tasks:
        victims.add(Victim.ORDINARY)
    return frozenset(victims)


def _endpoint(record: PodRecord, reference: ObjectRef) -> MetricEndpoint | None:
    """The pod's metric; None where it names none, or has no address yet."""
    text = record.annotations.get(METRIC_KEY)
    if text is None or not (record.address or record.host_network):
        return None
    metric, fault = None, ""
    if record.host_network:
        fault = f"{METRIC_KEY}: the pod is on the host's network, where a port may be another's"
    else:
        try:
            metric = parse_pod_metric(text)
        except InvalidAnnotationError as error:
            fault = str(error)
    return MetricEndpoint(
        uid=record.annotations.get(_MIRROR, record.uid),
        pod=reference,
        address=record.address,
        metric=metric,
        fault=fault,
    )
