"""Collection of reservations: which entries of a status stand, and which are given back.

An entry is removed when its pod is gone, has ended or is bound to another node, or when it expired
while the pod was unbound. A bound pod never loses its entry: binding cannot be undone, so a pod
that was seen bound stays so, and whatever is not known for certain keeps the entry.

Caches lag behind, so a plan has two steps. ``find_suspects`` names the entries whose pods have to
be asked for at the API server; ``collect`` decides on what it answered.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum, unique
from typing import Generic, TypeVar

from k40s.ledger.entry import Entry

E = TypeVar("E", bound=Entry)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFact:
    """One pod as far as its reservations depend on it. ``node`` is "" while it is unbound.

    ``ended``: no container of it will ever run again.
    """

    node: str
    ended: bool = False


@unique
class Fate(StrEnum):
    """What becomes of an entry; those that remove it are values of a metric's label."""

    KEPT = "kept"
    BOUND = "bound"
    """The pod is bound to the entry's node: the entry no longer expires."""
    GONE = "gone"
    ENDED = "ended"
    ELSEWHERE = "elsewhere"
    EXPIRED = "expired"

    @property
    def removes(self) -> bool:
        """Whether the entry is given back."""
        return self not in (Fate.KEPT, Fate.BOUND)


REMOVALS = tuple(one for one in Fate if one.removes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal(Generic[E]):
    """An entry that is given back, and why."""

    reservation: E
    fate: Fate


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionPlan(Generic[E]):
    """The entries as they are to be, in their order.

    What was removed, how many were bound, and how many were added for pods that had none.
    """

    reservations: tuple[E, ...]
    removed: tuple[Removal[E], ...] = ()
    bound: int = 0
    added: int = 0

    @property
    def changes(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.removed or self.bound or self.added)


EntryKey = tuple[str, str]
"""The pod's UID and the node: a pod may have entries on two nodes, while it is unknown where it
was bound."""


def entry_key(reservation: Entry) -> EntryKey:
    """The key of an entry, unique in a ledger."""
    return reservation.owner.uid, reservation.node


def judge(reservation: Entry, pod: PodFact | None, *, expired: bool) -> Fate:
    """The fate of one entry. ``pod`` is None when it is gone for certain."""
    if pod is None:
        return Fate.GONE
    if pod.ended:
        return Fate.ENDED
    if not pod.node:
        return Fate.EXPIRED if expired else Fate.KEPT
    if pod.node != reservation.node:
        return Fate.ELSEWHERE
    return Fate.KEPT if reservation.until is None else Fate.BOUND


def find_suspects(
    reservations: Collection[E],
    cached: Mapping[str, PodFact],
    expired: Collection[EntryKey],
) -> tuple[E, ...]:
    """Entries that a cache of pods, which may lag behind, would remove.

    ``cached`` is by UID; a pod that is missing may be one that the cache has yet to see.
    ``expired`` are the entries whose time has passed, see ``collect``.
    """
    return tuple(
        one
        for one in reservations
        if judge(one, cached.get(one.owner.uid), expired=entry_key(one) in expired).removes
    )


def collect(
    reservations: Collection[E],
    pods: Mapping[str, PodFact | None],
    expired: Collection[EntryKey],
) -> CollectionPlan[E]:
    """Decide on every entry. Of a pod that is missing in ``pods`` nothing is known: it is kept.

    Whether an entry is in ``expired`` matters only while its pod is unbound.
    """
    kept: list[E] = []
    removed: list[Removal[E]] = []
    bound = 0
    for one in reservations:
        fate = Fate.KEPT
        if one.owner.uid in pods:
            fate = judge(one, pods[one.owner.uid], expired=entry_key(one) in expired)
        if fate.removes:
            removed.append(Removal(reservation=one, fate=fate))
            continue
        bound += fate is Fate.BOUND
        kept.append(replace(one, until=None) if fate is Fate.BOUND else one)
    return CollectionPlan(reservations=tuple(kept), removed=tuple(removed), bound=bound)
