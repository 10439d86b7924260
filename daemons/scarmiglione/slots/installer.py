"""Sets up a pod's slots in the kernel and takes them back: all or none, through the book."""

import logging

from daemons.scarmiglione.metrics import SlotMetrics
from daemons.scarmiglione.network.back_end import Refusal, StationState
from daemons.scarmiglione.slots.book import Book
from daemons.scarmiglione.slots.entry import Entry, HeldSlot, Phase
from daemons.scarmiglione.slots.presence import Presence, find_slot
from daemons.scarmiglione.station.stations import Station, Stations
from k40s.errors import KernelError

log = logging.getLogger(__name__)


class Installer:
    """Called under the book's lock. Whatever it leaves undone, the reconciliation does later."""

    def __init__(self, *, book: Book, stations: Stations, metrics: SlotMetrics) -> None:
        self._book = book
        self._stations = stations
        self._metrics = metrics

    def install(self, entry: Entry) -> Refusal | None:
        """Give the kernel all slots of an entry of the book; rolls back where one is refused.

        Raises ``KernelError`` after a roll back, and ``UnavailableError`` for the store.
        """
        try:
            with self._metrics.apply_seconds.time():
                refusal = self._apply(entry)
        except KernelError:
            self._metrics.failures.inc()
            self.release(entry.pod.uid)
            raise
        if refusal is not None:
            self.release(entry.pod.uid)
            return refusal
        self._book.put(entry.in_phase(Phase.APPLIED))
        return None

    def repair(self, entry: Entry) -> Refusal | None:
        """Give the kernel what it lacks of an entry; nothing is rolled back.

        Raises ``KernelError``, and ``UnavailableError`` for the store.
        """
        refusal = self._apply(entry)
        if refusal is None:
            self._metrics.repairs.inc()
            self._book.put(entry.in_phase(Phase.APPLIED))
        return refusal

    def release(self, uid: str) -> bool:
        """Take back a pod's slots; whether the kernel holds nothing of them any more.

        What could not be taken back is tried again by the reconciliation.
        """
        entry = self._book.start_release(uid)
        if entry is None:
            return True
        left = [slot for slot in reversed(entry.slots) if not self._take_back(slot, uid)]
        done = not left
        if done:
            self._book.forget(uid)
        return done

    def _apply(self, entry: Entry) -> Refusal | None:
        for slot in entry.slots:
            station = self._require(slot)
            refusal = station.back_end.apply(slot.channel, slot.windows)
            if refusal is not None:
                return refusal
        return None

    def _require(self, slot: HeldSlot) -> Station:
        station = self._stations.find(slot.station)
        if station is None:
            raise KernelError(f"there is no station on {slot.network} at {slot.interface}")
        return station

    def _take_back(self, slot: HeldSlot, uid: str) -> bool:
        """Remove what the kernel holds of a slot, and nothing that another program set there."""
        try:
            station = self._require(slot)
            back_end = station.back_end
            own = find_slot(back_end, back_end.read(), slot).own
            if own is not None:
                refusal = back_end.remove(own)
                if refusal is not None:
                    log.warning(
                        "slots not removed",
                        extra={"pod": uid, "hazard": refusal.hazard, "detail": refusal.detail},
                    )
                    return False
                own = find_slot(back_end, back_end.read(), slot).own
        except KernelError as error:
            self._metrics.failures.inc()
            log.warning("slots not removed", extra={"pod": uid, "cause": str(error)})
            return False
        return own is None


def is_whole(station: Station, state: StationState, slot: HeldSlot) -> bool:
    """Whether the kernel holds all of a slot."""
    return find_slot(station.back_end, state, slot).presence is Presence.WHOLE
