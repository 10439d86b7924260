"""How much a Tenant's object can hold: it is one value of etcd, and is written at every bind."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from k40s.ledger.entry import Entry
from k40s.ledger.entry_json import MOST_ENTRIES

LARGEST = 1_000_000
"""Bytes of all entries of a Tenant. etcd takes 1.5 MB for the whole object: beyond that every write
fails, also those that remove entries, and pods may have names of 253 characters."""
SHARE = 8
"""Of the Tenant ``default`` one namespace may take this part: its object is that of all others."""
_ENTRY = 160
"""Bytes of an entry in JSON beside the names in it, at most."""


@dataclass(slots=True)
class Room:
    """What entries take of the object. ``shared``: no namespace may take more than its share."""

    shared: bool
    entries: int = 0
    size: int = 0
    taken: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Entries and bytes of each namespace."""

    @classmethod
    def of(cls, entries: Iterable[Entry], *, shared: bool) -> "Room":
        """What these take."""
        room = cls(shared=shared)
        for one in entries:
            room.take(one)
        return room

    def holds(self, new: Entry) -> bool:
        """Whether another one fits beside them."""
        size = _size(new)
        if self.entries >= MOST_ENTRIES or self.size + size > LARGEST:
            return False
        entries, taken = self.taken.get(new.owner.namespace, (0, 0))
        return not self.shared or (
            entries < MOST_ENTRIES // SHARE and taken + size <= LARGEST // SHARE
        )

    def take(self, new: Entry) -> None:
        """Count another one."""
        size, namespace = _size(new), new.owner.namespace
        entries, taken = self.taken.get(namespace, (0, 0))
        self.entries, self.size = self.entries + 1, self.size + size
        self.taken[namespace] = entries + 1, taken + size


def _size(one: Entry) -> int:
    owner = one.owner
    return _ENTRY + sum(map(len, (owner.uid, owner.namespace, owner.name, one.node, one.attempt)))
