"""Leases as seen here: a renewal counts from when the watch brings it, whatever a node's clock."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from k40s.kube.records import LeaseRecord
from k40s.units import WallClock


class LeaseAges:
    """Handler of Leases. Their renewals change no overview: that one is silent shows by time."""

    def __init__(self, *, wall: WallClock) -> None:
        self._wall = wall
        self._lock = threading.Lock()
        self._leases: dict[str, tuple[datetime | None, LeaseRecord]] = {}

    def values(self) -> tuple[LeaseRecord, ...]:
        """The Leases, ``renewed`` by this process's clock where it has seen the renewal."""
        with self._lock:
            return tuple(record for _, record in self._leases.values())

    def replace(self, records: Sequence[LeaseRecord]) -> None:
        """A complete list, in which a renewal may be old: it counts as the node's clock says."""
        with self._lock:
            former, self._leases = self._leases, {}
            self._list(records, former)

    def merge(self, records: Sequence[LeaseRecord]) -> None:
        """An incomplete list."""
        with self._lock:
            self._list(records, dict(self._leases))

    def upsert(self, record: LeaseRecord) -> None:
        """A Lease is new or has changed."""
        with self._lock:
            known = self._leases.get(record.key)
            if known is None or record.renewed is None:
                self._leases[record.key] = (record.renewed, record)
            elif known[0] == record.renewed:
                self._leases[record.key] = (known[0], replace(record, renewed=known[1].renewed))
            else:
                seen = replace(record, renewed=self._wall())
                self._leases[record.key] = (record.renewed, seen)

    def delete(self, key: str) -> None:
        """A Lease is gone."""
        with self._lock:
            self._leases.pop(key, None)

    def _list(
        self,
        records: Sequence[LeaseRecord],
        former: dict[str, tuple[datetime | None, LeaseRecord]],
    ) -> None:
        for record in records:
            known = former.get(record.key)
            if known is not None and known[0] == record.renewed:
                record = replace(record, renewed=known[1].renewed)  # noqa: PLW2901  # as seen
                self._leases[record.key] = (known[0], record)
            else:
                self._leases[record.key] = (record.renewed, record)
