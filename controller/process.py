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
from controller.collection.stage import CollectionStage
from controller.extender_client import ExtenderClient
from controller.metrics import ControllerMetrics
from controller.migration.begin import Beginner
from controller.migration.destination import DestinationFinder
from controller.migration.events import MigrationEvents
from controller.migration.migrator import Migrator
from controller.migration.releases import Releases
from controller.settings import ControllerSettings
from k40s.annotations.migration import wall_nanoseconds
from k40s.errors import UnavailableError
from k40s.http.client import HttpClient
from k40s.http.listening import format_authority
from k40s.http.probes import ProbeServer
from k40s.http.tls import TlsFiles
from k40s.kube.events import EventWriter
from k40s.kube.evictions import Evictions
from k40s.kube.feed import Feed
from k40s.kube.informer import Informer
from k40s.kube.leader_election import LeaderElection, LeaseLock
from k40s.kube.list_watch import WatchSource
from k40s.kube.objects.managed_pods import ManagedPodRecord, managed_pod_record
from k40s.kube.pod_control import PodControl
from k40s.kube.records import LeaseRecord, NodeRecord, PodRecord
from k40s.kube.sources import ApiSource
from k40s.kube.transport import ApiTransport, ConflictError
from k40s.node_agent.backoff import Backoff
from k40s.node_agent.loops import Loops
from k40s.units import NS_PER_MS, NS_PER_S, Clock, Nanoseconds, WallClock

log = logging.getLogger(__name__)

LEASE_NAME = "k40s-controller"
LOOK_EVERY = Nanoseconds(500 * NS_PER_MS)
_SEND = Nanoseconds(500 * NS_PER_MS)
_PAUSE = Nanoseconds(5 * NS_PER_S)
"""After the API server did not take an event."""
_FRESH = 60 * NS_PER_S
"""Without a look for so long, it is not healthy; one look makes a bounded number of requests."""
_JOIN_SECONDS = 15.0


class Gateway(EventWriter, Protocol):
    """The part of ``KubeGateway`` that the controller uses."""

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

    def get_pod(
        self, namespace: str, name: str, *, timeout: Nanoseconds | None = None
    ) -> PodRecord | None:
        """The pod as it is at the API server, None when there is none."""
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
        self._informers = self._watch(gateway, settings.namespace, heard, nodes, pods)
        self._election_failures = self._backoff()
        self._events = MigrationEvents(
            writer=gateway, metrics=self._metrics, backoff=self._backoff(_PAUSE), clock=clock
        )
        self._migrator = self._make_migrator(settings, gateway.api, _Cluster(nodes, pods), wall)
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
        for informer in (*self._informers, self._collection.informer):
            informer.start()
        self._loops.start("election", Nanoseconds(self._lease // 5), self._elect)
        self._loops.start("look", LOOK_EVERY, self.look)
        self._loops.start("events", _SEND, self._events.send)
        self._loops.start("collect", LOOK_EVERY, self.collect)
        self.probes.start()

    def look(self) -> None:
        """Look once, as soon as all has been listed."""
        if self._ready() is None:
            self._migrator.tick()
        self._looked = self._clock()

    def collect(self) -> None:
        """Look at the Networks once, as soon as all has been listed."""
        if self._ready() is None:
            self._collection.tick()

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

    def _make_migrator(
        self, settings: ControllerSettings, api: ApiTransport, cluster: _Cluster, wall: WallClock
    ) -> Migrator:
        control, evictor, policy = PodControl(api), Evictions(api), settings.policy
        authority = format_authority(settings.extender_service, settings.extender_port)
        extender = HttpClient(
            base_url=f"https://{authority}",
            tls=TlsFiles.in_directory(settings.client_tls_directory),
            server_name=settings.extender_name,
            timeout=settings.extender_timeout,
        )
        finder = DestinationFinder(extender=ExtenderClient(extender), metrics=self._metrics)

        def now() -> int:
            return wall_nanoseconds(wall())

        return Migrator(
            cluster=cluster,
            leadership=self.election,
            releases=Releases(
                control=control,
                evictor=evictor,
                events=self._events,
                metrics=self._metrics,
                policy=policy,
                retry=settings.migration_retry,
                now=now,
            ),
            beginner=Beginner(
                control=control,
                evictor=evictor,
                finder=finder,
                leadership=self.election,
                events=self._events,
                metrics=self._metrics,
                policy=policy,
                dry_run=settings.dry_run,
            ),
            events=self._events,
            metrics=self._metrics,
            policy=policy,
            retry=settings.migration_retry,
            dry_run=settings.dry_run,
            now=now,
        )

    def _watch(
        self, gateway: Gateway, namespace: str, heard: Heard, nodes: NodeTable, pods: PodTable
    ) -> tuple["_Watch", ...]:
        count, unreadable = self._metrics.watch_errors.inc, self._metrics.unreadable
        return (
            Informer(
                name="nodes",
                source=gateway.nodes(),
                handler=Feed.of(nodes).and_then(Feed.of(self._collection.stations)),
                stop=self._stop,
                on_error=count,
                on_unreadable=unreadable["nodes"].inc,
            ),
            Informer(
                name="leases",
                source=gateway.leases(namespace=namespace),
                handler=heard,
                stop=self._stop,
                on_error=count,
                on_unreadable=unreadable["leases"].inc,
            ),
            Informer(
                name="pods",
                source=ApiSource(gateway.api, "/api/v1/pods", "", managed_pod_record),
                handler=Feed.of(pods).and_then(Feed.of(self._collection.pods)),
                stop=self._stop,
                on_error=count,
                on_unreadable=unreadable["pods"].inc,
            ),
        )

    def _healthy(self) -> str | None:
        age = self._clock() - self._looked
        return None if age <= _FRESH else "no look at the cluster for 60 s"

    def _ready(self) -> str | None:
        waiting = [one.name for one in self._informers if not one.synchronized.is_set()]
        return f"not synchronized: {', '.join(waiting)}" if waiting else None


_Watch = Informer[NodeRecord] | Informer[LeaseRecord] | Informer[ManagedPodRecord]
