"""The health of each station, from what the reconciliation found: published as a code.

A station with another code than ``ok`` gets no new pods. What it holds stays.
"""

import logging
from collections.abc import Iterator, Mapping
from enum import StrEnum, unique

from daemons.scarmiglione.cluster.events import EventReason, Events
from daemons.scarmiglione.metrics import StationMetrics
from daemons.scarmiglione.monitoring.master import TableCheck
from daemons.scarmiglione.monitoring.sync import SyncWatch
from daemons.scarmiglione.network.back_end import Role, StationState
from daemons.scarmiglione.slots.book import Book
from daemons.scarmiglione.slots.findings import Finding, Findings
from daemons.scarmiglione.slots.reconciler import Reconciler
from daemons.scarmiglione.station.networks import DeclaredNetworks
from daemons.scarmiglione.station.stations import (
    RTNET,
    Station,
    StationKey,
    Stations,
    kernel_role,
)
from k40s.annotations.network_state import HEALTHY
from k40s.units import NS_PER_S, Clock, Nanoseconds

log = logging.getLogger(__name__)

_CLOCK_SHADOW = Nanoseconds(10 * NS_PER_S)
"""How long a station counts as unhealthy after a step of its clock: Syncs may be missing."""


@unique
class Health(StrEnum):
    """Codes; of several that hold, the first one here is published."""

    OK = HEALTHY
    STARTING = "starting"
    UNREADABLE = "unreadable"
    ABSENT = "absent"
    SECOND_MASTER = "second-master"
    ROLE = "role"
    NO_SYNC = "no-sync"
    CONFLICT = "conflict"
    CLOCK_STEP = "clock-step"
    DRIFT = "drift"


TEXTS: Mapping[Health, str] = {
    Health.OK: "the station is healthy",
    Health.STARTING: "the station was not looked at yet",
    Health.UNREADABLE: "the kernel's slots cannot be read",
    Health.ABSENT: "the interface is absent, or not attached to the network",
    Health.SECOND_MASTER: "the kernel sends Sync as master, and the Network names another one",
    Health.ROLE: "the kernel's role is another one than the Network says",
    Health.NO_SYNC: "no Sync arrives: the master is silent or the link is down",
    Health.CONFLICT: "the reservations in the Network's status overlap",
    Health.CLOCK_STEP: "the node's real-time clock was stepped",
    Health.DRIFT: "the kernel's slots differ from what pods hold",
}


class HealthMonitor:
    """``look`` judges all stations; called after each reconciliation, in the same loop."""

    def __init__(
        self,
        *,
        book: Book,
        networks: DeclaredNetworks,
        stations: Stations,
        reconciler: Reconciler,
        table: TableCheck,
        events: Events,
        metrics: StationMetrics,
        clock: Clock,
    ) -> None:
        """``clock`` is monotonic, in ns."""
        self._book = book
        self._networks = networks
        self._stations = stations
        self._reconciler = reconciler
        self._table = table
        self._events = events
        self._metrics = metrics
        self._clock = clock
        self._sync: dict[StationKey, SyncWatch] = {}
        self._health: dict[str, Health] = {}
        self._stepped_until: int | None = None
        self._open = False

    @property
    def is_open(self) -> bool:
        """Whether the book was reconciled and the stations were judged since the start."""
        return self._open

    def health(self, network: str) -> str:
        """``HEALTHY``, or the code of a fault."""
        return self._health.get(network, Health.STARTING).value

    def clock_stepped(self, by: Nanoseconds) -> None:
        """The real-time clock was stepped by so much."""
        self._stepped_until = self._clock() + _CLOCK_SHADOW
        self._metrics.clock_steps.inc()
        text = f"the real-time clock was stepped by {by / NS_PER_S:+.3f} s: let it be slewed only"
        log.warning("clock stepped", extra={"seconds": by / NS_PER_S})
        self._events.on_node(EventReason.CLOCK_STEPPED, text)

    def look(self) -> None:
        """Judge every station, and report what has changed."""
        if not self._reconciler.is_open:
            return
        with self._book.lock:
            stations, findings = self._stations.declared(), self._reconciler.findings
            self._sync = {one.key: self._sync.get(one.key) or SyncWatch() for one in stations}
            found = {one.key.network: self._judge(one, findings.of(one.key)) for one in stations}
            self._show(findings)
        for network, health in found.items():
            if health is not self._health.get(network):
                self._report(network, health)
        self._health = found
        self._open = True
        self._metrics.show(health.value for health in found.values())

    def _judge(self, station: Station, finding: Finding) -> Health:
        return next(self._faults(station, finding), Health.OK)

    def _faults(self, station: Station, finding: Finding) -> Iterator[Health]:
        """Faults in the order of ``Health``; Sync is watched and the table checked on the way."""
        state = finding.state
        if state is None:
            yield Health.UNREADABLE if finding.error else Health.STARTING
            return
        silent = self._watch_sync(station, state)
        if not state.attached:
            yield Health.ABSENT
        role = kernel_role(station, state)
        if role is Role.MASTER and station.role is not Role.MASTER:
            yield Health.SECOND_MASTER
        elif role not in (None, station.role):
            yield Health.ROLE
        if silent:
            yield Health.NO_SYNC
        conflict = self._find_conflict(station)
        if conflict is not None:
            self._events.on_node(EventReason.CONFLICT, conflict)
            yield Health.CONFLICT
        if self._stepped_until is not None and self._clock() < self._stepped_until:
            yield Health.CLOCK_STEP
        if finding.drifts:
            yield Health.DRIFT

    def _watch_sync(self, station: Station, state: StationState) -> bool:
        if station.back_end.name not in RTNET:
            return False
        watch = self._sync[station.key]
        before = watch.lost
        silent = watch.look(state, cycle=station.cycle)
        if silent and not before:
            self._metrics.sync_losses.inc()
        return silent

    def _find_conflict(self, station: Station) -> str | None:
        """Which reservations overlap, on a network whose master this is."""
        network = self._networks.find(station.key.network)
        if station.role is not Role.MASTER or network is None:
            return None
        return self._table.find_conflict(network)

    def _report(self, network: str, health: Health) -> None:
        log.info("station's health", extra={"network": network, "health": health.value})
        if health is Health.OK:
            return
        reason = EventReason.DRIFT if health is Health.DRIFT else EventReason.UNHEALTHY
        self._events.on_node(reason, f"network {network}: {TEXTS[health]} ({health.value})")

    def _show(self, findings: Findings) -> None:
        free = foreign = missing = altered = conflicts = 0
        for station in self._stations.declared():
            finding, limits = findings.of(station.key), station.back_end.limits
            if finding.state is not None:
                ours = self._book.taken(station.key)
                free += limits.free(finding.state.taken | ours)
            foreign += len(finding.foreign)
            missing += len(finding.missing)
            altered += len(finding.altered)
            conflicts += self._find_conflict(station) is not None
        self._metrics.channels.set(free)
        self._metrics.conflicts.set(conflicts)
        for kind, number in (("foreign", foreign), ("missing", missing), ("altered", altered)):
            self._metrics.drift.labels(kind=kind).set(number)
