"""Reconciles the book with the Networks' statuses, the node's pods and the stations' kernels.

Level-triggered: each look compares everything, so it does not matter what was missed before it, nor
at which step a former process was killed.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from daemons.scarmiglione.metrics import SlotMetrics
from daemons.scarmiglione.network.back_end import Refusal, StationState
from daemons.scarmiglione.slots.adoption import Adoption
from daemons.scarmiglione.slots.book import Book
from daemons.scarmiglione.slots.entry import Entry, Phase
from daemons.scarmiglione.slots.findings import Findings
from daemons.scarmiglione.slots.installer import Installer
from daemons.scarmiglione.slots.judgement import (
    Fate,
    Judgement,
    Reservations,
    judge,
)
from daemons.scarmiglione.slots.presence import Presence, find_slot
from daemons.scarmiglione.slots.reports import SlotReports
from daemons.scarmiglione.station.networks import DeclaredNetworks
from daemons.scarmiglione.station.stations import StationKey, Stations
from k40s.errors import KernelError
from k40s.kube.records import PodRecord
from k40s.reasons import Reason

log = logging.getLogger(__name__)

Progress = Callable[[], None]
_OF_A_STATION = frozenset({Reason.NETWORK_UNHEALTHY, Reason.NETWORK_NO_MECHANISM})
"""Refusals that every further pod on the station would get as well, some after a wait for Sync."""


class PodView(Protocol):
    """The pods of this node, by the watch; implemented by ``NodePods``."""

    def records(self) -> Sequence[PodRecord]:
        """All pods that are bound here."""
        ...

    def fate(self, uid: str, *, bound: bool) -> Fate:
        """What became of a pod; ``bound``: it was here once."""
        ...


class Reconciler:
    """``tick`` does nothing until Networks and pods are known; then the first one opens."""

    def __init__(
        self,
        *,
        book: Book,
        networks: DeclaredNetworks,
        stations: Stations,
        pods: PodView,
        installer: Installer,
        reports: SlotReports,
        metrics: SlotMetrics,
        synchronized: Sequence[threading.Event],
        progress: Progress = lambda: None,
    ) -> None:
        """``progress`` is called between two pods whose slots the kernel may have to be given."""
        self._book = book
        self._networks = networks
        self._stations = stations
        self._pods = pods
        self._installer = installer
        self._adoption = Adoption(book=book, stations=stations, reports=reports)
        self._reports = reports
        self._metrics = metrics
        self._synchronized = synchronized
        self._progress = progress
        self._logged: dict[str, str] = {}
        self._unapplied: dict[str, str] = {}
        self._open = threading.Event()
        self.findings = Findings()

    @property
    def is_open(self) -> bool:
        """Whether the book was reconciled since the start."""
        return self._open.is_set()

    def tick(self) -> None:
        """Release, adopt, repair; raises ``UnavailableError`` when the store cannot be written."""
        if not all(event.is_set() for event in self._synchronized):
            return
        with self._book.lock:
            reserved = self._networks.reservations()
            self._stations.refresh(self._book.stations())
            self._settle(reserved)
            states = self._read_stations()
            for entry in self._adoption.adopt(self._pods.records(), reserved, states):
                log.info("slots adopted", extra={"pod": entry.pod.uid})
                for slot in entry.slots:
                    self.findings.of(slot.station).adopt(slot.channel.numbers)
            self._match(states)
            for phase in Phase:
                number = sum(entry.phase is phase for entry in self._book.entries())
                self._metrics.pods.labels(phase=phase.value).set(number)
        if not self.is_open:
            self._open.set()
            log.info("reconciled", extra={"pods": len(self._book.entries())})

    def _settle(self, reserved: Mapping[str, Reservations]) -> None:
        """Release what no status holds, and what belonged to pods that are over."""
        for entry in self._book.entries():
            if entry.phase is Phase.RELEASING:
                continue
            if self._pods.fate(entry.pod.uid, bound=entry.bound) is Fate.OVER:
                self._withdraw(entry, "pod-over")
                continue
            held = reserved.get(entry.pod.uid, {})
            found = judge(entry, networks=self._networks, stations=self._stations, held=held)
            if found is Judgement.CONFIRMED:
                self._book.confirm(entry)
            elif found is Judgement.MISSING and entry.confirmed:
                self._withdraw(entry, "unreserved")
            elif self._book.has_expired(entry) and not (entry.bound and self._awaits(entry, found)):
                self._withdraw(entry, "unconfirmed")

    def _awaits(self, entry: Entry, found: Judgement) -> bool:
        """Whether the watch has yet to say who holds a pod's slots.

        Its reservation was written before it was asked for. So the watch shows some change later,
        if it had not shown that one; a connection that has broken silently shows none.
        """
        seen = self._networks.version
        return found is Judgement.UNKNOWN or self._book.began_at(entry.pod.uid, seen)

    def _withdraw(self, entry: Entry, cause: str) -> None:
        self._book.start_release(entry.pod.uid)
        self._metrics.withdrawn.labels(cause=cause).inc()
        log.info("slots withdrawn", extra={"pod": entry.pod.uid, "cause": cause})
        if cause != "pod-over":
            self._reports.withdrawn(entry, cause)

    def _read_stations(self) -> dict[StationKey, StationState]:
        """What each kernel holds, and the slots there that are nobody's."""
        states: dict[StationKey, StationState] = {}
        self.findings.begin(station.key for station in self._stations.all())
        for station in self._stations.all():
            finding = self.findings.of(station.key)
            try:
                states[station.key] = state = station.back_end.read()
            except KernelError as error:
                self._metrics.failures.inc()
                finding.error = str(error)
                continue
            limits, ours = station.back_end.limits, self._book.taken(station.key)
            finding.state = state
            finding.foreign = tuple(
                sorted(n for n in state.taken - ours if limits.first <= n <= limits.last)
            )
        return states

    def _match(self, states: Mapping[StationKey, StationState]) -> None:
        """Make each kernel hold what the book says, pod by pod."""
        closed: dict[StationKey, Refusal] = {}
        self._logged, self._unapplied = self._unapplied, {}
        for entry in self._book.entries():
            self._progress()
            if entry.phase is Phase.RELEASING:
                self._installer.release(entry.pod.uid)
            elif all(slot.station in states for slot in entry.slots):
                try:
                    self._complete(entry, states, closed)
                except KernelError as error:
                    self._metrics.failures.inc()
                    self._note(entry, str(error), "kernel")

    def _complete(
        self,
        entry: Entry,
        states: Mapping[StationKey, StationState],
        closed: dict[StationKey, Refusal],
    ) -> None:
        """``closed`` are stations that have refused all pods in this look."""
        present: list[Presence] = []
        for slot in entry.slots:
            station = self._stations.find(slot.station)
            if station is None:
                return
            present.append(find_slot(station.back_end, states[slot.station], slot).presence)
        if all(one is Presence.WHOLE for one in present):
            self._book.put(entry.in_phase(Phase.APPLIED))
            return
        if entry.phase is Phase.APPLIED:
            for slot, one in zip(entry.slots, present, strict=True):
                self.findings.of(slot.station).note_drift(entry.pod.uid, one)
        elif Presence.ALTERED in present:
            # Its numbers were free when they were chosen, so another program has taken them. The
            # pod gets others: at once if it is bound here, else when its bind is repeated.
            self._withdraw(entry, "given-up")
            return
        lacking = {
            slot.station
            for slot, one in zip(entry.slots, present, strict=True)
            if one is not Presence.WHOLE
        }
        refusal = next((closed[key] for key in lacking if key in closed), None)
        refusal = refusal or self._installer.repair(entry)
        if refusal is not None:
            if len(lacking) == 1 and refusal.reason in _OF_A_STATION:
                closed |= dict.fromkeys(lacking, refusal)
            self._note(entry, f"{refusal.hazard}: {refusal.detail}", refusal.hazard)

    def _note(self, entry: Entry, text: str, kind: str) -> None:
        """Report what a pod lacks; a kind of cause is logged once until it is over."""
        uid = entry.pod.uid
        if self._logged.get(uid) != kind:
            log.warning("slots not applied", extra={"pod": uid, "cause": text})
        self._unapplied[uid] = kind
        for slot in entry.slots:
            self.findings.of(slot.station).unrepaired += 1
        self._reports.unrepaired(entry, text)
