"""When a reservation has expired, although nobody knows how far apart two clocks are.

``until`` was written by the extender's clock. Were it compared with this process's clock alone, a
clock that is ahead would collect what was reserved just now. So an entry has to have stood for a
while before this process's own eyes, measured by its monotonic clock; where the clock is behind,
the same measure bounds how long an entry can outlive its time.
"""

from collections.abc import Sequence

from k40s.ledger.collection import EntryKey, entry_key
from k40s.ledger.entry import Entry
from k40s.units import NS_PER_S, Clock, Nanoseconds, WallClock

STOOD = Nanoseconds(15 * NS_PER_S)
"""Longer than any bind takes: its requests have time limits of about a second each."""
LONGEST = Nanoseconds(600 * NS_PER_S)
"""An entry that stood so long while its pod was unbound has expired, whatever the clocks say."""

_Key = tuple[str, str, str, str]


class ExpiryWatch:
    """Follows the entries of one ledger. Not locked."""

    def __init__(self, *, clock: Clock, wall: WallClock) -> None:
        self._clock = clock
        self._wall = wall
        self._seen: dict[_Key, int] = {}

    def expired(self, reservations: Sequence[Entry]) -> frozenset[EntryKey]:
        """Which of the present entries have expired; one that changes begins anew.

        It says nothing of whether their pods are bound.
        """
        now, wall = self._clock(), self._wall()
        self._seen = {key: self._seen.get(key, now) for key in map(_key, reservations)}
        found = []
        for one in reservations:
            stood = now - self._seen[_key(one)]
            over = one.until is not None and wall >= one.until and stood >= STOOD
            if over or stood >= LONGEST:
                found.append(entry_key(one))
        return frozenset(found)


def _key(one: Entry) -> _Key:
    until = "" if one.until is None else one.until.isoformat()
    return (one.owner.uid, one.node, one.attempt, until)
