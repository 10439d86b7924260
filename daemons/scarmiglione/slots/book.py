"""Which pods hold which slots on this node. Each change is on disk before it is visible."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from daemons.scarmiglione.slots.entry import Entry, Phase, format_entries, parse_entries
from daemons.scarmiglione.station.stations import StationKey
from k40s.node_agent.reservation_leases import Leases
from k40s.units import Clock, Nanoseconds


class BookStore(Protocol):
    """Durable key → text. Both methods raise ``UnavailableError``."""

    def entries(self) -> Mapping[str, str]:
        """All keys and texts."""
        ...

    def write(self, changes: Mapping[str, str | None]) -> None:
        """Put and (None) delete in one transaction that survives kill −9."""
        ...


class Book:
    """By pod UID. ``lock`` guards the book and, since the kernel follows it, all back ends.

    An entry is written before the kernel is told anything of its slots, and removed when the kernel
    holds nothing of it any more: so whatever the kernel holds of ours is in the book, at any time.
    """

    def __init__(self, *, store: BookStore, lease: Nanoseconds, clock: Clock) -> None:
        """``lease``: how long slots stay without a reservation. Raises ``UnavailableError``."""
        self.lock = threading.RLock()
        self._store = store
        self._entries = parse_entries(store.entries())
        self._leases = Leases(length=lease, clock=clock)
        self._begun_at: dict[str, int] = {}
        for uid, entry in self._entries.items():
            self._leases.grant(uid, entry.attempt)

    def entries(self) -> tuple[Entry, ...]:
        """All entries, by UID."""
        with self.lock:
            return tuple(self._entries[uid] for uid in sorted(self._entries))

    def find(self, uid: str) -> Entry | None:
        """A pod's entry."""
        with self.lock:
            return self._entries.get(uid)

    def put(self, entry: Entry) -> Entry:
        """Insert or replace an entry; returns it. Raises ``UnavailableError``."""
        uid = entry.pod.uid
        with self.lock:
            if self._entries.get(uid) != entry:
                self._store.write(format_entries({uid: entry}))
                self._entries[uid] = entry
            return entry

    def begin(self, entry: Entry, *, at: int = -1) -> Entry:
        """Insert an entry, whose lease begins for its attempt.

        ``at`` is the version of the Networks that its request was judged by.
        """
        with self.lock:
            self.put(entry)
            self._begun_at[entry.pod.uid] = at
            self._leases.grant(entry.pod.uid, entry.attempt)
            return entry

    def renew(self, uid: str, attempt: str) -> None:
        """The lease begins again; this attempt waits for it as well as the earlier ones."""
        with self.lock:
            self._leases.renew(uid, attempt)

    def confirm(self, entry: Entry) -> Entry:
        """A Network's status holds the reservation."""
        return entry if entry.confirmed else self.put(replace(entry, confirmed=True))

    def bind(self, uid: str) -> None:
        """The pod was seen on this node."""
        with self.lock:
            entry = self._entries.get(uid)
            if entry is not None and not entry.bound:
                self.put(replace(entry, bound=True))

    def start_release(self, uid: str) -> Entry | None:
        """Enter ``RELEASING``; None when there is no such entry."""
        with self.lock:
            entry = self._entries.get(uid)
            return None if entry is None else self.put(entry.in_phase(Phase.RELEASING))

    def forget(self, uid: str) -> None:
        """Remove the entry, once the kernel holds nothing of it any more."""
        with self.lock:
            if uid in self._entries:
                self._store.write(format_entries({uid: None}))
                del self._entries[uid]
                self._leases.drop(uid)
                self._begun_at.pop(uid, None)

    def began_at(self, uid: str, version: int) -> bool:
        """Whether an entry of this process began at this version of the Networks."""
        with self.lock:
            return self._begun_at.get(uid) == version

    def withdraw(self, uid: str, attempt: str) -> bool:
        """Withdraw an attempt; True if no other attempt waits for the slots."""
        with self.lock:
            return self._leases.withdraw(uid, attempt)

    def is_withdrawn(self, attempt: str) -> bool:
        """Whether an attempt was withdrawn."""
        with self.lock:
            return self._leases.is_withdrawn(attempt)

    def has_expired(self, entry: Entry) -> bool:
        """Whether slots have waited too long for their reservation."""
        with self.lock:
            return not entry.confirmed and self._leases.has_expired(entry.pod.uid)

    def taken(self, station: StationKey) -> frozenset[int]:
        """The channel numbers that pods hold on a station."""
        return frozenset(
            number
            for entry in self.entries()
            for slot in entry.slots
            if slot.station == station
            for number in slot.channel.numbers
        )

    def stations(self) -> frozenset[StationKey]:
        """The stations on which pods hold slots."""
        return frozenset(slot.station for entry in self.entries() for slot in entry.slots)
