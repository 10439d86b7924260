"""Scarmiglione assembled: stations, book, reconciliation, health, publication, API, their loops."""

import logging
import threading
import time
from datetime import UTC, datetime
from typing import Protocol

from flask import Flask
from prometheus_client import CollectorRegistry

from daemons.scarmiglione.api.app import create_app
from daemons.scarmiglione.api.checks import SlotChecks
from daemons.scarmiglione.api.slot_requests import SlotRequests
from daemons.scarmiglione.cluster.events import Events
from daemons.scarmiglione.cluster.networks import NetworkFeed
from daemons.scarmiglione.cluster.node_state import NetworkReport
from daemons.scarmiglione.cluster.pods import NodePods
from daemons.scarmiglione.metrics import SlotMetrics, StationMetrics
from daemons.scarmiglione.monitoring.clock_steps import ClockSteps
from daemons.scarmiglione.monitoring.health import Health, HealthMonitor
from daemons.scarmiglione.monitoring.master import TableCheck
from daemons.scarmiglione.settings import Settings
from daemons.scarmiglione.slots.book import Book, BookStore
from daemons.scarmiglione.slots.installer import Installer
from daemons.scarmiglione.slots.loop import ReconciliationLoop
from daemons.scarmiglione.slots.reconciler import Reconciler
from daemons.scarmiglione.station.networks import DeclaredNetworks
from daemons.scarmiglione.station.stations import MakeBackEnd, Stations
from k40s.annotations import NETWORK_STATE_SINCE_KEY
from k40s.errors import UnavailableError
from k40s.kube.events import EventWriter
from k40s.kube.list_watch import WatchSource
from k40s.kube.records import NetworkRecord, PodRecord
from k40s.kube.watching.informer import Informer
from k40s.node_agent.backoff import Backoff
from k40s.node_agent.leases import scarmiglione_lease
from k40s.node_agent.loops import Loops
from k40s.node_agent.publication import NodePublication
from k40s.node_agent.publisher import NodeWriter
from k40s.tdma.conflict import check_table, first_conflict
from k40s.units import NS_PER_MS, NS_PER_S, Clock, Nanoseconds, WallClock

log = logging.getLogger(__name__)

_AT_ONCE = Nanoseconds(NS_PER_MS)
"""Between two turns of a loop that waits by itself."""
_CLOCK_LOOK = Nanoseconds(100 * NS_PER_MS)
_PUBLISH = Nanoseconds(200 * NS_PER_MS)
_BEAT = Nanoseconds(500 * NS_PER_MS)
_SEND = Nanoseconds(NS_PER_S)
_PAUSE = Nanoseconds(2 * NS_PER_S)
"""After the API server was unavailable."""
_JOIN_SECONDS = 5.0
_SILENT = Nanoseconds(60 * NS_PER_S)
_CALIBRATIONS = 800
"""Cycles. Without a look, or a pod put right in it, for so long the process is restarted: longer
than any time limit of a back end, also when a request has taken one just before."""


class Gateway(NodeWriter, EventWriter, Protocol):
    """The part of the API server that scarmiglione writes to."""


class Daemon:
    """Everything below the HTTP server. Build it in the process that serves."""

    def __init__(
        self,
        settings: Settings,
        *,
        gateway: Gateway,
        networks: WatchSource[NetworkRecord],
        pods: WatchSource[PodRecord],
        store: BookStore,
        make_back_end: MakeBackEnd,
        xenomai: bool = False,
        clock: Clock = time.monotonic_ns,
        wall: Clock = time.time_ns,
        now: WallClock = lambda: datetime.now(UTC),
    ) -> None:
        """Both clocks are in ns. Raises ``UnavailableError`` for a store that cannot be used."""

        def seconds() -> float:
            return clock() / NS_PER_S

        self.registry = CollectorRegistry()
        self.stop = threading.Event()
        slot_metrics = SlotMetrics(self.registry)
        station_metrics = StationMetrics(self.registry, health=Health)
        self._loops = Loops(stop=self.stop, on_error=slot_metrics.errors.inc)
        self._clock = clock
        self._looked = clock()
        self._unwritten = False

        self.book = Book(store=store, lease=settings.reservation_lease, clock=clock)
        self.networks = DeclaredNetworks(node=settings.node_name, changed=self._wake)
        self.stations = Stations(
            node=settings.node_name, networks=self.networks, make=make_back_end, store=store
        )
        self.events = Events(
            node=settings.node_name, writer=gateway, metrics=station_metrics, clock=seconds
        )
        installer = Installer(book=self.book, stations=self.stations, metrics=slot_metrics)
        self.network_informer = Informer(
            name="networks",
            source=networks,
            handler=NetworkFeed(self.networks),
            stop=self.stop,
            on_error=slot_metrics.errors.inc,
            on_unreadable=station_metrics.unreadable.labels(kind="networks").inc,
        )
        self.pods = NodePods(book=self.book, changed=self._wake)
        self.pod_informer = Informer(
            name="pods",
            source=pods,
            handler=self.pods,
            stop=self.stop,
            on_error=slot_metrics.errors.inc,
            on_unreadable=station_metrics.unreadable.labels(kind="pods").inc,
        )
        self.reconciler = Reconciler(
            book=self.book,
            networks=self.networks,
            stations=self.stations,
            pods=self.pods,
            installer=installer,
            reports=self.events,
            metrics=slot_metrics,
            synchronized=(self.network_informer.synchronized, self.pod_informer.synchronized),
            progress=self._note_progress,
        )
        self.health = HealthMonitor(
            book=self.book,
            networks=self.networks,
            stations=self.stations,
            reconciler=self.reconciler,
            table=TableCheck(check_table, clock=clock),
            events=self.events,
            metrics=station_metrics,
            clock=clock,
        )
        self.clock_steps = ClockSteps(monotonic=clock, wall=wall, stepped=self.health.clock_stepped)
        self.loop = ReconciliationLoop(self.look)
        self.requests = SlotRequests(
            book=self.book,
            networks=self.networks,
            stations=self.stations,
            pods=self.pods,
            installer=installer,
            checks=SlotChecks(
                book=self.book,
                networks=self.networks,
                stations=self.stations,
                health=self.health,
                find_conflict=first_conflict,
            ),
            opened=self.health,
            reports=self.events,
            metrics=slot_metrics,
            changed=self._wake,
        )
        self.report = NetworkReport(
            node=settings.node_name,
            endpoint=settings.endpoint,
            lease=settings.lease,
            xenomai=xenomai,
            book=self.book,
            stations=self.stations,
            findings=lambda: self.reconciler.findings,
            health=self.health.health,
            trouble=self._trouble,
            now=now,
        )
        self.publication = NodePublication(
            report=self.report,
            gateway=gateway,
            node=settings.node_name,
            lease_namespace=settings.lease_namespace,
            lease_name=scarmiglione_lease(settings.node_name),
            lease=settings.lease,
            since_key=NETWORK_STATE_SINCE_KEY,
            backoff=Backoff(pause=_PAUSE, clock=clock),
            clock=clock,
            now=now,
        )

    def api(self) -> Flask:
        """The HTTP API."""
        return create_app(requests=self.requests, state=self.report.document)

    def start(self) -> None:
        """Start the loops."""
        self.network_informer.start()
        self.pod_informer.start()
        self._loops.start("reconcile", _AT_ONCE, self.loop.tick)
        self._loops.start("clock", _CLOCK_LOOK, self.clock_steps.look)
        self._loops.start("publish", _PUBLISH, self.publication.publish)
        self._loops.start("beat", _BEAT, self.publication.beat)
        self._loops.start("events", _SEND, self.events.send)

    def look(self) -> None:
        """Reconcile, and judge the stations by what was found."""
        try:
            self.reconciler.tick()
            self._unwritten = False
        except UnavailableError as error:
            self._unwritten = True
            log.warning("slots not reconciled", extra={"cause": str(error)})
        self.health.look()
        self._note_progress()

    def halt(self) -> None:
        """End the loops; slots stay as they are, and no station is detached."""
        self.stop.set()
        self.loop.wake()
        self._loops.join(_JOIN_SECONDS)

    def healthy(self) -> str | None:
        """Why the process should be restarted, if it should."""
        late = self._clock() - self._looked
        networks = [one.network.tdma for one in self.networks.memberships()]
        cycles = [tdma.cycle.period for tdma in networks if tdma is not None]
        patience = _SILENT + _CALIBRATIONS * max(cycles, default=0)
        return f"no look at the stations for {late // NS_PER_S} s" if late > patience else None

    def ready(self) -> str | None:
        """Why the node takes no slots yet, if it does not."""
        return self._trouble() or self.publication.trouble()

    def _trouble(self) -> str | None:
        if not self.health.is_open:
            return "the Networks, the node's pods or its stations are not known yet"
        if self._unwritten:  # and so not looked at: what is known of the stations is of before
            return "the book of slots cannot be written"
        return self.healthy()

    def _note_progress(self) -> None:
        self._looked = self._clock()

    def _wake(self) -> None:
        self.loop.wake()
