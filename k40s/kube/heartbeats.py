"""Age of each daemon's heartbeat, its coordination Lease.

A renewal seen on the watch counts from when it is seen, by our own monotonic clock: clocks of nodes
may differ. One that is first seen in a listing may be old, so its age by the wall clock counts as
well; where a node's clock is behind this one it looks older, and the next renewal corrects it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from k40s.kube.records import LeaseRecord
from k40s.units import NS_PER_US, Clock, Nanoseconds, WallClock


class Heartbeats:
    """Last renewal by lease name, in the nanoseconds of ``clock``. Not locked."""

    def __init__(self, *, clock: Clock, wall: WallClock) -> None:
        self._clock = clock
        self._wall = wall
        self._renewed: dict[str, datetime] = {}
        self._seen: dict[str, int] = {}

    def replace(self, records: Sequence[LeaseRecord], *, complete: bool = True) -> None:
        """Takes a listing, in which a renewal may be old.

        A lease that is missing from a ``complete`` one is gone; one whose renewal is unreadable
        ages from the last readable one.
        """
        now, wall = self._clock(), self._wall()
        seen = {} if complete else dict(self._seen)
        renewed = {} if complete else dict(self._renewed)
        for record in records:
            name = record.name
            if record.renewed is None:
                if record.faults and name in self._seen:
                    seen[name], renewed[name] = self._seen[name], self._renewed[name]
                continue
            if self._renewed.get(name) == record.renewed:
                seen[name] = self._seen[name]
            else:
                age = max((wall - record.renewed) // timedelta(microseconds=1), 0) * NS_PER_US
                seen[name] = max(now - age, self._seen.get(name, now - age))
            renewed[name] = record.renewed
        self._renewed, self._seen = renewed, seen

    def upsert(self, record: LeaseRecord) -> None:
        """Takes a change from the watch; only a renewal counts as a heartbeat."""
        if record.renewed is not None and self._renewed.get(record.name) != record.renewed:
            self._renewed[record.name] = record.renewed
            self._seen[record.name] = self._clock()

    def delete(self, name: str) -> None:
        """Removes a lease: its holder is stale."""
        self._renewed.pop(name, None)
        self._seen.pop(name, None)

    def seen(self, name: str) -> int | None:
        """When the Lease was last renewed, or None if it never was."""
        return self._seen.get(name)

    def expiry(self, name: str, lease: Nanoseconds) -> int | None:
        """When the holder becomes stale, or None if it has never renewed its Lease."""
        seen = self._seen.get(name)
        return None if seen is None else seen + lease
