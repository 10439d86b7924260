"""Stations whose kernel holds something else than the Network's status says.

Scarmiglione compares its kernel with its own book. This comparison shares neither: it takes the
status at the API server, and the digest of what the station reads back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from k40s.network.held import NOTHING, digests_of
from k40s.network.model import NetworkReservation
from k40s.units import NS_PER_S, Clock, Nanoseconds

GRACE = Nanoseconds(5 * NS_PER_S)
"""A slot is in the status before it is at the station, and stays there for a look after it."""
TABLE_DIFFERS = "table-differs"
"""The code of such a station, in the condition ``Healthy``."""


@dataclass(slots=True)
class _Seen:
    """What a station said last, and since when it has said just that without being right."""

    digest: str
    wrong_since: int


class Differences:
    """Of one Network, across looks."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._reservations: Sequence[NetworkReservation] | None = None
        self._right: Mapping[str, str] = {}

    def find(
        self, reservations: Sequence[NetworkReservation] | None, held: Mapping[str, str]
    ) -> frozenset[str]:
        """The nodes that differ for longer than a change takes.

        ``held`` is by node what its living daemon publishes. Whoever says something new is given
        time; a status that cannot be read is compared with nothing.
        """
        if reservations is None:
            self._seen.clear()
            return frozenset()
        if reservations is not self._reservations:
            self._reservations, self._right = reservations, digests_of(reservations)
        now, former = self._clock(), self._seen
        self._seen = {}
        for node, said in held.items():
            if said == self._right.get(node, NOTHING):
                continue
            seen = former.get(node)
            since = seen.wrong_since if seen is not None and seen.digest == said else now
            self._seen[node] = _Seen(said, since)
        return frozenset(
            node for node, seen in self._seen.items() if now - seen.wrong_since >= GRACE
        )
