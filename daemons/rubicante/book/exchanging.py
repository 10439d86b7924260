"""What the book holds while servers are exchanged, and which entries each point changes. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from daemons.rubicante.book.entry import Entry
from daemons.rubicante.book.progress import Progress
from k40s.cpu.admission.exchange import Exchange, reserving
from k40s.cpu.admission.resynthesis import find_exchange
from k40s.cpu.model import CpuNode, PodDemand, Reservation

Entries = Mapping[str, Entry]
"""By pod UID."""


def find_exchange_in_groups(node: CpuNode, demand: PodDemand) -> Exchange | None:
    """An exchange on a node whose budget groups have numbers of their own."""
    return find_exchange(node, demand) if node.shared_groups else None


def standing(node: CpuNode, entries: Entries, exchanges: Iterable[Progress]) -> CpuNode:
    """The node with what threads may use at present: second groups, and no newcomer's."""
    under_way = tuple(exchanges)
    newcomers = {one.newcomer for one in under_way}
    held = [r for uid in sorted(entries) if uid not in newcomers for r in entries[uid].reservations]
    seconds = [one.second for one in under_way if one.second is not None]
    return node.holding((*held, *seconds))


def as_admitted_to(node: CpuNode, exchanges: Iterable[Progress]) -> CpuNode:
    """The standing node as other pods are admitted to it: what is to come is taken already."""
    for one in exchanges:
        if one.withdrawn:
            node = replace(node, changing=node.changing | {one.core})
        else:
            node = reserving(node, one.exchange, done=one.done)
    return node


def is_changing(entry: Entry, exchanges: Iterable[Progress]) -> bool:
    """Whether a pod holds something on a core whose servers are being exchanged."""
    cores = {one.core for one in exchanges}
    return any(held.core in cores for held in entry.reservations)


def with_step_begun(entries: Entries, progress: Progress, node: CpuNode) -> dict[str, Entry]:
    """Changed entries where a reservation has both groups, ``node`` being the one with both."""
    second = progress.begun().second
    firsts = (r for r in node.reservations if second is None or r.group != second.group)
    return taking(entries, (r for r in firsts if r.core == progress.core))


def with_step_completed(entries: Entries, progress: Progress) -> dict[str, Entry]:
    """The changed entry: its reservation has its second group alone."""
    return {} if progress.second is None else taking(entries, [progress.second])


def with_newcomer(entries: Entries, progress: Progress, node: CpuNode) -> dict[str, Entry]:
    """Changed entries where the pod has arrived that room was made for."""
    return taking(entries, (r for r in node.reservations if r.core == progress.core))


def without_pod(exchanges: Iterable[Progress], pod_uid: str) -> dict[int, Progress | None]:
    """The exchanges that a pod's departure changes, by core; None for one that ends."""
    return {one.core: left for one in exchanges if (left := one.without_pod(pod_uid)) != one}


def taking(entries: Entries, reservations: Iterable[Reservation]) -> dict[str, Entry]:
    """Entries that change where these are in place of their reservations of the same key."""
    by_pod: dict[str, list[Reservation]] = {}
    for reservation in reservations:
        by_pod.setdefault(reservation.pod_uid, []).append(reservation)
    changed = {}
    for uid, held in by_pod.items():
        if uid in entries and (after := entries[uid].holding(tuple(held))) != entries[uid]:
            changed[uid] = after
    return changed
