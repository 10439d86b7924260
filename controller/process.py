"""The controller assembled: informers, leader election, the loop of looks, events and probes."""

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

from prometheus_client import CollectorRegistry

from controller.cluster.nodes import Heard, NodeLevel, NodeTable
from controller.cluster.pods import PodTable, PodView
from controller.collection.runtime_stage import RuntimeStage
from controller.collection.stage import CollectionStage
from controller.collection.tenant_stage import TenantStage
from controller.events import ControllerEvents
from controller.eviction.culprits import CulpritEvictor
from controller.eviction.requests import CulpritTable
from controller.extender_client import ExtenderClient
from controller.metrics import ControllerMetrics, EvictionMetrics
from controller.migration.stage import make_migration
from controller.preemption.looks import PreemptionLooks
from controller.preemption.stage import make_preemption
from controller.settings import ControllerSettings
from controller.watches import WatchedGateway, make_informers
from k40s.annotations.wall_times import wall_nanoseconds
from k40s.errors import UnavailableError
from k40s.http.client import HttpClient
from k40s.http.listening import format_authority
from k40s.http.probes import ProbeServer
from k40s.http.tls import TlsFiles
from k40s.kube.events import EventWriter
from k40s.kube.leader_election import LeaderElection, LeaseLock
from k40s.kube.records import PodRecord
from k40s.kube.transport import ApiTransport, ConflictError
from k40s.kube.watching.feed import Feed
from k40s.kube.writing.evictions import Evictions
from k40s.kube.writing.pod_control import PodControl
from k40s.kube.writing.preemption_control import PreemptionControl
from k40s.node_agent.backoff import Backoff
from k40s.node_agent.loops import Loops
from k40s.pki.metrics import CertificateMetrics
from k40s.units import NS_PER_MS, NS_PER_S, Clock, Nanoseconds, WallClock

log = logging.getLogger(__name__)

LEASE_NAME = "k40s-controller"
LOOK_EVERY = Nanoseconds(500 * NS_PER_MS)
PREEMPT_EVERY = Nanoseconds(200 * NS_PER_MS)
"""A pod waits for its place meanwhile."""
SYSTEM_NAMESPACE = "kube-system"
_SEND = Nanoseconds(500 * NS_PER_MS)
_PAUSE = Nanoseconds(5 * NS_PER_S)
"""After the API server did not take an event."""
_FRESH = 60 * NS_PER_S
"""Without a look for so long, it is not healthy; one look makes a bounded number of requests."""
_JOIN_SECONDS = 15.0


class Gateway(WatchedGateway, EventWriter, Protocol):
    """The part of ``KubeGateway`` that the controller uses."""

    def get_pod(
        self, namespace: str, name: str, *, timeout: Nanoseconds | None = None
    ) -> PodRecord | None:
        """The pod as it is at the API server, None when there is none."""
        ...

    def patch_node(self, name: str, *, annotations: Mapping[str, str | None]) -> object:
        """Set these annotations of a Node."""
        ...


class _Cluster:
    """The informers' tables, as ``WatchedCluster``."""

    def __init__(self, nodes: NodeTable, pods: PodTable) -> None:
        self._nodes, self._pods = nodes, pods

    def levels(self) -> Mapping[str, NodeLevel]:
        return self._nodes.levels()

    def pods(self) -> PodView:
        return self._pods.view()


class Controller:
    """``start`` begins to watch; it acts while it leads; ``stop`` gives the Lease up."""

    def __init__(
        self,
        settings: ControllerSettings,
        *,
        gateway: Gateway,
        registry: CollectorRegistry,
        clock: Clock = time.monotonic_ns,
        wall: WallClock = lambda: datetime.now(UTC),
    ) -> None:
        """Raises ``UnavailableError`` when TLS files or the probes' port cannot be used."""
        self._metrics = ControllerMetrics(registry)
        CertificateMetrics(
            registry,
            process="controller",
            certificates={"client": settings.client_tls_directory / "tls.crt"},
        )
        self._stop = threading.Event()
        self._clock = clock
        self._looked = clock()
        self._lease = settings.leader_lease
        self.election = LeaderElection(
            LeaseLock(gateway.api, namespace=settings.namespace, name=LEASE_NAME, now=wall),
            identity=settings.identity,
            duration=settings.leader_lease,
            clock=clock,
        )
        heard = Heard(clock=clock, wall=wall)
        nodes, pods = NodeTable(heard=heard, clock=clock), PodTable()
        self._collection = CollectionStage(
            api=gateway.api,
            live=gateway,
            heard=heard,
            leadership=self.election,
            registry=registry,
            metrics=self._metrics,
            stop=self._stop,
            clock=clock,
            wall=wall,
        )
        self._tenants = TenantStage(
            api=gateway.api,
            live=gateway,
            cached=self._collection.pods.facts,
            leadership=self.election,
            retries=self._collection.retries,
            registry=registry,
            metrics=self._metrics,
            stop=self._stop,
            clock=clock,
            wall=wall,
        )
        self._runtimes = self._make_runtimes(settings, gateway.api)
        self._culprits = CulpritTable()
        self._informers = make_informers(
            gateway,
            settings.namespace,
            nodes=Feed.of(nodes)
            .and_then(Feed.of(self._collection.stations))
            .and_then(Feed.of(self._culprits)),
            leases=heard,
            pods=Feed.of(pods)
            .and_then(Feed.of(self._collection.pods))
            .and_then(Feed.of(self._tenants.pods)),
            metrics=self._metrics,
            stop=self._stop,
        )
        self._election_failures = self._backoff()
        self._events = ControllerEvents(
            writer=gateway, metrics=self._metrics, backoff=self._backoff(_PAUSE), clock=clock
        )
        cluster = _Cluster(nodes, pods)
        self._migrator = make_migration(
            cluster=cluster,
            source=_extender(settings),
            control=PodControl(gateway.api),
            evictor=Evictions(gateway.api),
            leadership=self.election,
            events=self._events,
            metrics=self._metrics,
            policy=settings.policy,
            retry=settings.migration_retry,
            dry_run=settings.dry_run,
            now=_nanoseconds(wall),
        )
        self._preemption = self._make_preemption(settings, gateway.api, pods, registry, wall)
        self._evictor = CulpritEvictor(
            requests=self._culprits,
            cluster=cluster,
            leadership=self.election,
            evictor=Evictions(gateway.api),
            events=self._events,
            metrics=EvictionMetrics(registry),
            policy=settings.eviction,
            namespace=settings.namespace,
            retry=settings.migration_retry,
            dry_run=settings.dry_run,
            now=_nanoseconds(wall),
        )
        self.probes = ProbeServer(
            host=settings.host,
            port=settings.probe_port,
            registry=registry,
            healthy=self._healthy,
            ready=self._ready,
        )
        self._loops = Loops(stop=self._stop, on_error=self._metrics.errors.inc)

    def start(self) -> None:
        """Start informers, loops and probes."""
        for informer in (*self._informers, self._collection.informer, self._tenants.informer):
            informer.start()
        if self._runtimes is not None:
            self._runtimes.start()
        self._loops.start("election", Nanoseconds(self._lease // 5), self._elect)
        self._loops.start("look", LOOK_EVERY, self.look)
        self._loops.start("events", _SEND, self._events.send)
        self._loops.start("collect", LOOK_EVERY, self.collect)
        self._loops.start("preempt", PREEMPT_EVERY, self.preempt)
        self._loops.start("tenants", LOOK_EVERY, self.count)
        self._loops.start("evict", LOOK_EVERY, self.evict)
        self.probes.start()

    def look(self) -> None:
        """Look once, as soon as all has been listed."""
        if self._ready() is None:
            self._migrator.tick()
        self._looked = self._clock()

    def collect(self) -> None:
        """Look at the Networks and runtimes once, as soon as all has been listed."""
        if self._ready() is not None:
            return
        if self._runtimes is not None:
            self._runtimes.tick()
        self._collection.tick()

    def preempt(self) -> None:
        """Look once at the pods that no node would take, as soon as all has been listed."""
        if self._ready() is None:
            self._preemption.tick()

    def count(self) -> None:
        """Look at the Tenants once, as soon as all has been listed."""
        if self._ready() is None:
            self._tenants.tick()

    def evict(self) -> None:
        """Look at the nodes' requests once, as soon as all has been listed."""
        if self._ready() is None:
            self._evictor.tick()

    def stop(self) -> None:
        """End the loops, give the Lease up, free the port."""
        self._stop.set()
        self._loops.join(_JOIN_SECONDS)
        with suppress(UnavailableError, ConflictError):
            self.election.release()
        self.probes.stop()

    def _elect(self) -> None:
        if self._ready() is not None:
            return
        try:
            self.election.tick()
        except UnavailableError as error:
            self._election_failures.failed("leader election failed", error)
        else:
            self._election_failures.succeeded()

    def _backoff(self, pause: Nanoseconds = Nanoseconds(0)) -> Backoff:
        return Backoff(pause=pause, clock=self._clock, on_failure=self._metrics.count_failure)

    def _make_runtimes(
        self, settings: ControllerSettings, api: ApiTransport
    ) -> RuntimeStage | None:
        """None where no criticality needs a RuntimeClass."""
        if not settings.runtime_classes:
            return None
        return RuntimeStage(
            api=api,
            leadership=self.election,
            retries=self._collection.retries,
            metrics=self._metrics,
            stop=self._stop,
        )

    def _make_preemption(
        self,
        settings: ControllerSettings,
        api: ApiTransport,
        pods: PodTable,
        registry: CollectorRegistry,
        wall: WallClock,
    ) -> PreemptionLooks:
        return make_preemption(
            pods=pods,
            source=_extender(settings),
            control=PreemptionControl(api),
            evictor=Evictions(api),
            leadership=self.election,
            events=self._events,
            metrics=self._metrics,
            registry=registry,
            policy=settings.preemption_policy,
            system=(SYSTEM_NAMESPACE, settings.namespace),
            scheduler=settings.scheduler_name,
            enabled=settings.preemption,
            dry_run=settings.dry_run,
            now=_nanoseconds(wall),
        )

    def _healthy(self) -> str | None:
        age = self._clock() - self._looked
        return None if age <= _FRESH else "no look at the cluster for 60 s"

    def _ready(self) -> str | None:
        waiting = [one.name for one in self._informers if not one.synchronized.is_set()]
        return f"not synchronized: {', '.join(waiting)}" if waiting else None


def _extender(settings: ControllerSettings) -> ExtenderClient:
    """A client of its own for each loop that asks."""
    authority = format_authority(settings.extender_service, settings.extender_port)
    return ExtenderClient(
        HttpClient(
            base_url=f"https://{authority}",
            tls=TlsFiles.in_directory(settings.client_tls_directory),
            server_name=settings.extender_name,
            timeout=settings.extender_timeout,
        )
    )


def _nanoseconds(wall: WallClock) -> Clock:
    """The wall clock in nanoseconds since 1970."""
    return lambda: wall_nanoseconds(wall())
