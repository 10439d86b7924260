"""The API's operations: set up a pod's slots at once, and take them back.

The Networks' statuses decide who holds what. A request may overtake the watch that shows them, so
one that they do not hold yet is served on a lease, and the reconciliation withdraws it unless a
status holds it within that time.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from daemons.scarmiglione.api.checks import SlotChecks
from daemons.scarmiglione.api.failures import StartingError
from daemons.scarmiglione.metrics import SlotMetrics
from daemons.scarmiglione.slots.allocation import Rejection, choose_channels
from daemons.scarmiglione.slots.book import Book
from daemons.scarmiglione.slots.entry import Entry, Phase
from daemons.scarmiglione.slots.installer import Installer
from daemons.scarmiglione.slots.judgement import Fate, Judgement, judge
from daemons.scarmiglione.slots.reconciler import PodView
from daemons.scarmiglione.slots.reports import SlotReports
from daemons.scarmiglione.station.networks import DeclaredNetworks
from daemons.scarmiglione.station.stations import Station, Stations
from k40s.node_api.network_messages import RequestedSlot, SlotsAnswer, SlotsRequest
from k40s.reasons import Reason

log = logging.getLogger(__name__)

_WATCH_SECONDS = 0.5
"""How long a request waits for the watch, where the Networks as last seen speak against it."""

Wake = Callable[[], None]


class OpenView(Protocol):
    """Implemented by ``HealthMonitor``."""

    @property
    def is_open(self) -> bool:
        """Whether the book was reconciled and the stations were judged since the start."""


@dataclass(frozen=True, slots=True)
class _Stale:
    """A rejection that the next change of a Network may lift."""

    rejection: Rejection


class SlotRequests:
    """``changed`` wakes the reconciliation and the publication."""

    def __init__(
        self,
        *,
        book: Book,
        networks: DeclaredNetworks,
        stations: Stations,
        pods: PodView,
        installer: Installer,
        checks: SlotChecks,
        opened: OpenView,
        reports: SlotReports,
        metrics: SlotMetrics,
        changed: Wake,
    ) -> None:
        self._book = book
        self._networks = networks
        self._stations = stations
        self._pods = pods
        self._installer = installer
        self._checks = checks
        self._opened = opened
        self._reports = reports
        self._metrics = metrics
        self._changed = changed

    def apply(self, request: SlotsRequest, attempt: str = "") -> tuple[SlotsAnswer, bool]:
        """The answer, and whether the slots are new; ``attempt`` may be withdrawn later.

        Raises ``UnavailableError`` and ``KernelError``: what is left is taken back, at once or by
        the reconciliation.
        """
        version = self._networks.version
        outcome = self._apply(request, attempt)
        if isinstance(outcome, _Stale):
            self._networks.wait_for_change(version, _WATCH_SECONDS)
            outcome = self._apply(request, attempt)
        if isinstance(outcome, _Stale):
            outcome = outcome.rejection
        if isinstance(outcome, Rejection):
            return self._refuse(request, outcome), False
        entry, created = outcome
        if created:
            self._metrics.applied.inc()
            log.info("slots applied", extra={"pod": entry.pod.uid, "slots": len(entry.slots)})
            self._reports.applied(entry)
            self._changed()
        return SlotsAnswer(schedulable=True, granted=entry.granted), created

    def withdraw(self, uid: str, attempt: str = "") -> bool:
        """Take back the slots of an unbound pod; those of a bound pod end with the pod.

        Returns False and changes nothing for a bound pod; absent slots count as withdrawn. An
        ``attempt`` is withdrawn, even before its request arrives; the slots stay while another
        attempt waits for them.
        """
        with self._book.lock:
            if attempt and not self._book.withdraw(uid, attempt):
                return True
            entry = self._book.find(uid)
            if entry is None:
                return True
            if entry.bound:
                return False
            self._metrics.withdrawn.labels(cause="given-up").inc()
            log.info("slots withdrawn", extra={"pod": uid, "cause": "given-up"})
            self._installer.release(uid)
        self._changed()
        return True

    def _refuse(self, request: SlotsRequest, rejection: Rejection) -> SlotsAnswer:
        self._metrics.refusals.labels(reason=rejection.reason.value).inc()
        log.info(
            "slots refused",
            extra={
                "pod": request.pod.uid,
                "reason": rejection.reason.value,
                "detail": rejection.detail,
            },
        )
        self._reports.failed(request.pod, rejection)
        return SlotsAnswer(schedulable=False, reason=rejection.reason, detail=rejection.detail)

    def _apply(self, request: SlotsRequest, attempt: str) -> "_Outcome":
        if not self._opened.is_open:
            raise StartingError("starting: the Networks or the node's pods are not known yet")
        uid = request.pod.uid
        with self._book.lock:
            if self._book.is_withdrawn(attempt):
                return Rejection(reason=Reason.POD_WITHDRAWN)
            if self._pods.fate(uid, bound=False) is Fate.OVER:
                return Rejection(reason=Reason.POD_UNKNOWN)
            held = self._book.find(uid)
            if held is not None and held.phase is not Phase.RELEASING:
                if held.requested == request.slots and (held.bound or _is_applied(held)):
                    self._book.renew(uid, attempt)
                    return held, False
                if held.requested != request.slots and (
                    held.bound or self._judge(held) is not Judgement.MISSING
                ):
                    return _Stale(_changed("the pod holds other slots"))
            if held is not None and not self._installer.release(uid):
                return Rejection(
                    reason=Reason.NETWORK_STATION_FAILED, detail="its former slots are still there"
                )
            return self._set_up(request, attempt)

    def _judge(self, held: Entry) -> Judgement:
        reserved = self._networks.reservations().get(held.pod.uid, {})
        return judge(held, networks=self._networks, stations=self._stations, held=reserved)

    def _set_up(self, request: SlotsRequest, attempt: str) -> "_Outcome":
        self._stations.refresh(self._book.stations())
        wanted: list[tuple[RequestedSlot, Station]] = []
        for slot in request.slots:
            found = self._checks.find_station(slot.network)
            if isinstance(found, Rejection):
                return found
            wanted.append((slot, found))
        conflict = self._checks.find_conflict(request, wanted)
        if conflict is not None:
            return _Stale(conflict)
        stations = {station.key: station for _, station in wanted}
        chosen = choose_channels(
            wanted,
            states={key: station.back_end.read() for key, station in stations.items()},
            taken={key: self._book.taken(key) for key in stations},
        )
        if isinstance(chosen, Rejection):
            return chosen
        entry = self._book.begin(
            Entry(pod=request.pod, attempt=attempt, phase=Phase.APPLYING, slots=chosen),
            at=self._networks.version,
        )
        refusal = self._installer.install(entry)
        if refusal is not None:
            return Rejection(reason=refusal.reason, detail=f"{refusal.hazard}: {refusal.detail}")
        return self._confirmed(entry), True

    def _confirmed(self, entry: Entry) -> Entry:
        kept = self._book.find(entry.pod.uid) or entry
        return self._book.confirm(kept) if self._judge(kept) is Judgement.CONFIRMED else kept


_Outcome = tuple[Entry, bool] | Rejection | _Stale


def _is_applied(entry: Entry) -> bool:
    """Whether it was ever answered; the channels of one that was not may be another's by now."""
    return entry.phase is Phase.APPLIED


def _changed(detail: str) -> Rejection:
    return Rejection(reason=Reason.POD_CHANGED, detail=detail)
