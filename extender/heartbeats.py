"""How long ago each daemon was last heard of, by its coordination Lease.

A renewal seen on the watch counts from the moment it is seen, by our own monotonic clock: clocks
of nodes may differ. One that is first seen in a listing may be old, so its age by the wall clock
counts as well; where a node's clock is behind ours it looks older, and the next renewal mends it.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from k40s.runtime.records import LeaseRecord
from k40s.units import NS_PER_US, Nanoseconds

Clock = Callable[[], int]
"""Monotonic nanoseconds."""


class Heartbeats:
    """Last renewal by lease name, in the nanoseconds of ``clock``. Not locked."""

    def __init__(self, *, clock: Clock, wall: Callable[[], datetime]) -> None:
        self._clock = clock
        self._wall = wall
        self._renewed: dict[str, datetime] = {}
        self._seen: dict[str, int] = {}

    def replace(self, records: Sequence[LeaseRecord]) -> None:
        """Take a listing, in which a renewal may be old."""
        now, wall = self._clock(), self._wall()
        seen = {}
        renewed = {}
        for record in records:
            if record.renewed is None:
                continue
            name = record.name
            if self._renewed.get(name) == record.renewed:
                seen[name] = self._seen[name]
            else:
                age = max((wall - record.renewed) // timedelta(microseconds=1), 0) * NS_PER_US
                seen[name] = max(now - age, self._seen.get(name, now - age))
            renewed[name] = record.renewed
        self._renewed, self._seen = renewed, seen

    def upsert(self, record: LeaseRecord) -> None:
        """Take a change from the watch; one that is no renewal is not a sign of life."""
        if record.renewed is not None and self._renewed.get(record.name) != record.renewed:
            self._renewed[record.name] = record.renewed
            self._seen[record.name] = self._clock()

    def delete(self, name: str) -> None:
        """The lease is gone, and so is its holder."""
        self._renewed.pop(name, None)
        self._seen.pop(name, None)

    def expiry(self, name: str, lease: Nanoseconds) -> int | None:
        """When silence makes the holder stale, or None if it was never heard of."""
        seen = self._seen.get(name)
        return None if seen is None else seen + lease
