"""The watches that feed the tables, one an informer."""

import threading
from typing import Protocol, TypeVar

from extender.assembly.tables import Tables
from extender.metrics import ExtenderMetrics
from extender.monitoring.unreached import UnreachedKeys
from extender.settings import ExtenderSettings
from k40s.kube.list_watch import Keyed, WatchSource
from k40s.kube.objects.pod_templates import POD_OWNERS
from k40s.kube.objects.runtimes import NodeRuntimes, RuntimeClassRecord
from k40s.kube.records import (
    LeaseRecord,
    NetworkRecord,
    NodeRecord,
    PodOwnerRecord,
    PodRecord,
    TenantRecord,
)
from k40s.kube.watching.feed import Handler
from k40s.kube.watching.informer import Informer

R = TypeVar("R", bound=Keyed)
AnyInformer = (
    Informer[NodeRecord]
    | Informer[LeaseRecord]
    | Informer[PodRecord]
    | Informer[NodeRuntimes]
    | Informer[RuntimeClassRecord]
    | Informer[TenantRecord]
)


class WatchedCluster(Protocol):
    """The part of ``KubeGateway`` that is watched."""

    def nodes(self) -> WatchSource[NodeRecord]:
        """All Nodes."""

    def pods(self) -> WatchSource[PodRecord]:
        """All Pods."""

    def leases(self, *, namespace: str) -> WatchSource[LeaseRecord]:
        """The daemons' Leases."""

    def node_runtimes(self) -> WatchSource[NodeRuntimes]:
        """The runtime handlers of all Nodes."""

    def runtime_classes(self) -> WatchSource[RuntimeClassRecord]:
        """All RuntimeClasses."""

    def networks(self) -> WatchSource[NetworkRecord]:
        """All Networks."""

    def pod_owners(self, kind: str) -> WatchSource[PodOwnerRecord]:
        """All Deployments, or another kind of ``POD_OWNERS``."""


class WatchedTenants(Protocol):
    """The part of ``TenantLedgers`` that is watched."""

    def tenants(self) -> WatchSource[TenantRecord]:
        """All Tenants."""


class Watches:
    """The informers that feed ``tables``. Readiness waits for those in ``required``.

    Without Tenants nobody has bounds. Runtimes are watched where a criticality needs one: without
    them every such pod is refused. Networks and owners are not waited for: where the kind
    ``Network`` is not installed, nobody requires one.
    """

    def __init__(
        self,
        settings: ExtenderSettings,
        *,
        cluster: WatchedCluster,
        tenants: WatchedTenants,
        tables: Tables,
        unreached: UnreachedKeys,
        metrics: ExtenderMetrics,
        stop: threading.Event,
    ) -> None:
        self._metrics = metrics
        self._stop = stop
        self.required: tuple[AnyInformer, ...] = (
            self._watch("nodes", cluster.nodes(), tables.nodes.nodes),
            self._watch(
                "leases", cluster.leases(namespace=settings.namespace), tables.nodes.leases
            ),
            self._watch("pods", cluster.pods(), tables.pod_feed),
            self._watch("tenants", tenants.tenants(), tables.tenants.feed),
        )
        if settings.classes:
            runtimes = tables.runtimes
            self.required += (
                self._watch("runtime-classes", cluster.runtime_classes(), runtimes.classes),
                self._watch("node-runtimes", cluster.node_runtimes(), runtimes.nodes, kind="nodes"),
            )
        self.networks = self._watch("networks", cluster.networks(), tables.networks.feed)
        self._owners = tuple(
            self._watch(kind, cluster.pod_owners(kind), unreached.feed(kind), kind="pod-makers")
            for kind in POD_OWNERS
        )

    def start(self) -> None:
        """Starts all; returns before anything is listed."""
        for informer in (*self.required, self.networks, *self._owners):
            informer.start()

    def trouble(self) -> str | None:
        """The required informers that are not synchronized yet, or None."""
        waiting = [one.name for one in self.required if not one.synchronized.is_set()]
        return f"not synchronized: {', '.join(waiting)}" if waiting else None

    def _watch(
        self, name: str, source: WatchSource[R], handler: Handler[R], *, kind: str = ""
    ) -> Informer[R]:
        """``kind`` is the metric's label, if it is not the name."""
        return Informer(
            name=name,
            source=source,
            handler=handler,
            stop=self._stop,
            on_error=self._metrics.watch_errors.inc,
            on_unreadable=self._metrics.unreadable[kind or name].inc,
        )
