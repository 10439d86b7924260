"""How much a Network's object can hold: it is one value of etcd, and is searched at every bind."""

from collections.abc import Sequence
from dataclasses import dataclass

from k40s.ledger.entry_json import MOST_ENTRIES
from k40s.network.model import NetworkReservation

MOST_WINDOWS = 256
"""Slots of one pod on one network, joint ones counted one by one."""
MOST_WINDOWS_OF_ALL = 4_096
"""So many are searched in 0.1 s."""
LARGEST = 1_000_000
"""Bytes of all reservations of a Network. etcd takes 1.5 MB for the whole object: beyond that every
write fails, and one pod's many joint slots would keep all others from being bound."""
_ENTRY, _GRANT, _WINDOW, _PATH, _VERTEX = 130, 30, 106, 80, 4
"""Bytes of each in JSON, beside the names in it."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much of the object's room reservations take: their number, slots, and bytes in JSON."""

    entries: int
    windows: int
    size: int

    @classmethod
    def of(cls, reservations: Sequence[NetworkReservation]) -> "Room":
        """What these take."""
        windows = sum(map(_count, reservations))
        return cls(len(reservations), windows, sum(map(_size, reservations)))

    def holds(self, new: NetworkReservation) -> bool:
        """Whether another one fits beside them."""
        windows = _count(new)
        return (
            windows <= MOST_WINDOWS
            and self.windows + windows <= MOST_WINDOWS_OF_ALL
            and self.entries < MOST_ENTRIES
            and self.size + _size(new) <= LARGEST
        )


def _count(one: NetworkReservation) -> int:
    return sum([len(grant.windows) for grant in one.slots])


def _size(one: NetworkReservation) -> int:
    """Bytes of an entry in JSON, at most."""
    owner = one.owner
    names = sum(map(len, (owner.uid, owner.namespace, owner.name, one.node, one.attempt)))
    paths = 0
    for path in one.paths:
        nodes = path.nodes
        paths += _PATH + len(path.peer) + sum(map(len, nodes)) + _VERTEX * len(nodes)
    return _ENTRY + names + _GRANT * len(one.slots) + _WINDOW * _count(one) + paths
