"""Which daemons of a node are silent, by their Leases. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from k40s.kube.records import LeaseRecord
from k40s.units import NS_PER_S, Nanoseconds

_UNKNOWN_LEASE = Nanoseconds(60 * NS_PER_S)
"""Assumed where neither the published state nor the Lease has a duration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """A daemon's Lease at an instant: whether it was ever renewed, and its silence in seconds.

    ``silent`` is None while the Lease is current, and counts from ``known`` where there is none.
    """

    renewed: bool
    silent: float | None


class Beats:
    """The Leases of all daemons at an instant."""

    def __init__(self, leases: Sequence[LeaseRecord], *, now: datetime) -> None:
        self._leases: Mapping[str, LeaseRecord] = {one.name: one for one in leases}
        self._now = now

    def __contains__(self, name: str) -> bool:
        return name in self._leases

    def beat(
        self, name: str, *, lease: Nanoseconds | None = None, known: datetime | None = None
    ) -> Beat:
        """The state of one. ``lease`` is what its published state promises, if it has one.

        Without a renewal it is silent since ``known``, or for an unknown time, 0.
        """
        record = self._leases.get(name)
        renewed = record.renewed if record is not None else None
        if renewed is None:
            return Beat(renewed=False, silent=self._seconds_since(known))
        duration = lease or (record.duration if record is not None else None) or _UNKNOWN_LEASE
        silent = self._seconds_since(renewed)
        return Beat(renewed=True, silent=silent if silent * NS_PER_S >= duration else None)

    def _seconds_since(self, time: datetime | None) -> float:
        if time is None:
            return 0.0
        return max(0.0, round((self._now - time).total_seconds(), 1))
