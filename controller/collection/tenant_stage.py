"""Collection of Tenants assembled: tables of what is watched, the informer, the collector."""

import threading
from collections.abc import Callable, Hashable, Mapping

from prometheus_client import CollectorRegistry

from controller.cluster.tenants import CountedPods, WatchedTenants
from controller.collection.collector import Collector
from controller.collection.ports import Leadership, PodSource
from controller.collection.retries import Retries
from controller.collection.tenants import TenantLedger, tenant_ledgers
from controller.metrics import ControllerMetrics, TenantCollectionMetrics
from k40s.kube.objects.tenants import WatchedTenant
from k40s.kube.transport import ApiTransport
from k40s.kube.watching.informer import Informer
from k40s.kube.writing.tenant_ledgers import TenantLedgers
from k40s.ledger.collection import PodFact
from k40s.node_agent.backoff import Backoff
from k40s.units import NS_PER_S, Clock, Nanoseconds, WallClock

_PAUSE = Nanoseconds(5 * NS_PER_S)
"""After the API server did not answer."""


class TenantStage:
    """``pods`` is to be fed with Pods; Tenants it watches itself.

    A cluster may have no definition of Tenants: then there is nothing to do.
    """

    def __init__(
        self,
        *,
        api: ApiTransport,
        live: PodSource,
        cached: Callable[[], Mapping[str, PodFact]],
        leadership: Leadership,
        retries: Retries,
        registry: CollectorRegistry,
        metrics: ControllerMetrics,
        stop: threading.Event,
        clock: Clock,
        wall: WallClock,
    ) -> None:
        """``retries`` is told of changes that pods may wait for."""
        self.pods = CountedPods()
        self._leadership = leadership
        self._retries = retries
        self._tenants = WatchedTenants()
        self._ledgers = TenantLedgers(api)
        self.informer = Informer(
            name="tenants",
            source=self._ledgers.watched(),
            handler=self._tenants,
            stop=stop,
            on_error=metrics.watch_errors.inc,
            on_unreadable=metrics.unreadable["tenants"].inc,
        )
        self._collector = Collector(
            what="tenant",
            ledgers=self._look,
            cached=cached,
            pods=live,
            leadership=leadership,
            metrics=TenantCollectionMetrics(registry),
            backoff=Backoff(pause=_PAUSE, clock=clock, on_failure=metrics.count_failure),
            clock=clock,
            wall=wall,
            on_freed=retries.note_freed,
        )

    def tick(self) -> None:
        """Look once, as soon as all Tenants have been listed."""
        if not self.informer.synchronized.is_set():
            return
        if self._leadership.leading:
            self._retries.look("tenants", declared(self._tenants.tenants()), loss_helps=True)
        self._collector.tick()

    def _look(self) -> Mapping[str, TenantLedger]:
        tenants = self._tenants.tenants()
        if not tenants:
            return {}
        return tenant_ledgers(tenants, self.pods.by_namespace(), self._ledgers)


def declared(tenants: Mapping[str, WatchedTenant]) -> Mapping[str, Hashable]:
    """What is declared of each Tenant: its spec, and whether that can be used."""
    return {name: (one.state.generation, one.state.fault) for name, one in tenants.items()}
