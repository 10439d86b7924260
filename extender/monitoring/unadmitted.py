"""Counts bound pods that were not admitted or do not suit their node; writes events to the pods.

A pod bypasses the extender if it names its node itself or if another scheduler binds it. On a node
with a live rubicante that daemon writes the event; on all others the extender does.
"""

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum, unique

from prometheus_client import Gauge

from extender.cache.nodes import NodeCache
from extender.cache.pods import PodTable
from extender.cache.snapshot import Snapshot
from extender.cache.workloads import ObservedPod
from extender.monitoring.owner_events import OwnerEvents
from k40s.criticality import Criticality
from k40s.kube.events import EventWriter
from k40s.kube.records import ObjectRef
from k40s.reasons import NOT_ADMITTED
from k40s.units import Clock

EVENT = "NotAdmitted"


@unique
class Misplacement(StrEnum):
    """Faults of a bound pod: a closed set, and a metric's label."""

    NOT_ADMITTED = "not-admitted"
    """It has real-time tasks, and no allocation."""
    NOT_RESERVED = "not-reserved"
    """It requires networks, and has no grant of them."""
    ASSURANCE = "assurance"
    """Its node's assurance is too low for it at present."""
    INVALID = "invalid-annotation"
    """Its annotations are invalid."""


class UnadmittedPods:
    """``look`` is called once a second, by one thread."""

    def __init__(
        self,
        *,
        pods: PodTable,
        nodes: NodeCache,
        events: EventWriter,
        counted: dict[Misplacement, Gauge],
        clock: Clock,
    ) -> None:
        self._pods = pods
        self._nodes = nodes
        self._events = OwnerEvents(events=events, reason=EVENT, suffix="not-admitted", clock=clock)
        self._counted = counted

    def look(self) -> None:
        """Counts bound pods by cause, and reports those that were not admitted."""
        snapshot = self._nodes.snapshot()
        bound = self._pods.bound()
        found = [(pod, kind) for pod in bound for kind in find_misplacements(snapshot, pod)]
        counts = Counter(kind for _, kind in found)
        for kind, gauge in self._counted.items():
            gauge.set(counts[kind])
        unadmitted = {pod.uid: pod for pod, kind in found if kind is Misplacement.NOT_ADMITTED}
        self._events.follow(unadmitted.keys())
        unreported = (pod for pod in unadmitted.values() if not _daemon_reports(snapshot, pod))
        self._events.report_due(map(_about, unreported), lambda _: NOT_ADMITTED)


def _daemon_reports(snapshot: Snapshot, pod: ObservedPod) -> bool:
    """Whether the node's own daemon writes the event."""
    view = snapshot.nodes.get(pod.node)
    return view is not None and view.cpu is not None


def _about(pod: ObservedPod) -> ObjectRef:
    return ObjectRef(kind="Pod", namespace=pod.namespace, name=pod.name, uid=pod.uid)


def find_misplacements(snapshot: Snapshot, pod: ObservedPod) -> Iterator[Misplacement]:
    """The faults of a bound pod."""
    workload = pod.contract.workload
    if workload is None:
        yield Misplacement.INVALID
    if pod.contract.has_tasks and not pod.granted:
        yield Misplacement.NOT_ADMITTED
    if pod.contract.has_requirements and not pod.network_granted:
        yield Misplacement.NOT_RESERVED
    if workload is None or workload.criticality is Criticality.NO:
        return
    if pod.node not in snapshot.scores.get(workload.criticality, ()):
        yield Misplacement.ASSURANCE
