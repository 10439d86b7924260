"""The informers without which the controller does nothing: Nodes, Leases and pods."""

import threading
from typing import Protocol

from controller.metrics import ControllerMetrics
from k40s.kube.list_watch import WatchSource
from k40s.kube.objects.managed_pods import ManagedPodRecord, managed_pod_record
from k40s.kube.records import LeaseRecord, NodeRecord
from k40s.kube.transport import ApiTransport
from k40s.kube.watching.feed import Handler
from k40s.kube.watching.informer import Informer
from k40s.kube.watching.sources import ApiSource

AnyInformer = Informer[NodeRecord] | Informer[LeaseRecord] | Informer[ManagedPodRecord]


class WatchedGateway(Protocol):
    """The part of ``KubeGateway`` that is watched."""

    @property
    def api(self) -> ApiTransport:
        """The connection."""
        ...

    def nodes(self) -> WatchSource[NodeRecord]:
        """All Nodes."""
        ...

    def leases(self, *, namespace: str) -> WatchSource[LeaseRecord]:
        """The daemons' Leases."""
        ...


def make_informers(
    gateway: WatchedGateway,
    namespace: str,
    *,
    nodes: Handler[NodeRecord],
    leases: Handler[LeaseRecord],
    pods: Handler[ManagedPodRecord],
    metrics: ControllerMetrics,
    stop: threading.Event,
) -> tuple[AnyInformer, ...]:
    """One for each handler; none is started yet."""
    count, unreadable = metrics.watch_errors.inc, metrics.unreadable
    return (
        Informer(
            name="nodes",
            source=gateway.nodes(),
            handler=nodes,
            stop=stop,
            on_error=count,
            on_unreadable=unreadable["nodes"].inc,
        ),
        Informer(
            name="leases",
            source=gateway.leases(namespace=namespace),
            handler=leases,
            stop=stop,
            on_error=count,
            on_unreadable=unreadable["leases"].inc,
        ),
        Informer(
            name="pods",
            source=ApiSource(gateway.api, "/api/v1/pods", "", managed_pod_record),
            handler=pods,
            stop=stop,
            on_error=count,
            on_unreadable=unreadable["pods"].inc,
        ),
    )
