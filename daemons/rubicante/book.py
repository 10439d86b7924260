"""The reservations of this node: the single writer of who holds which server on which core."""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from daemons.rubicante.entry import Entry, Phase, format_entry, parse_entry
from daemons.rubicante.leases import Leases
from k40s.cpu.model import CpuNode, PodDemand, Reservation
from k40s.cpu.outcome import Admission, Rejection
from k40s.cpu.workload import resolve
from k40s.errors import UnavailableError
from k40s.node_api import ReservationRequest
from k40s.reasons import Reason
from k40s.units import Nanoseconds

Admit = Callable[[CpuNode, PodDemand], Admission | Rejection]
Claim = Callable[[Entry, Iterable[Entry]], None]

_GENERATION = "generation"
_MAX_DIGITS = 18
_POD = "pod/"


class BookStore(Protocol):
    """Durable key → text. Both methods raise ``UnavailableError``."""

    def entries(self) -> Mapping[str, str]:
        """All of it."""
        ...

    def write(self, changes: Mapping[str, str | None]) -> None:
        """Put and (None) delete in one transaction that survives kill −9."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """``created`` is False when the book already held just this."""

    entry: Entry
    created: bool


class Book:
    """Reserves, confirms and releases; each change is on disk before it is visible.

    ``lock`` guards the book and, since the kernel follows the book, everything that changes the
    kernel. ``node`` is the node without reservations. The generation counts changes of what
    admission sees and never goes back, not by a restart either.
    """

    def __init__(
        self,
        *,
        store: BookStore,
        node: CpuNode,
        admit: Admit,
        lease: Nanoseconds,
        clock: Callable[[], int],
    ) -> None:
        self.lock = threading.RLock()
        self._store = store
        self._base = node.holding(())
        self._admit = admit
        held = store.entries()
        self._generation = _read_generation(held.get(_GENERATION, "0"))
        self._entries = {
            key.removeprefix(_POD): parse_entry(text, pod_uid=key.removeprefix(_POD))
            for key, text in held.items()
            if key.startswith(_POD)
        }
        self._leases = Leases(length=lease, clock=clock, held=self._entries)

    @property
    def generation(self) -> int:
        """Counts changes of cores, servers and priorities."""
        with self.lock:
            return self._generation

    def entries(self) -> tuple[Entry, ...]:
        """All entries, by UID."""
        with self.lock:
            return tuple(self._entries[uid] for uid in sorted(self._entries))

    def find(self, pod_uid: str) -> Entry | None:
        """A pod's entry."""
        with self.lock:
            return self._entries.get(pod_uid)

    def node(self) -> CpuNode:
        """The node as admission sees it."""
        with self.lock:
            return self._base.holding(
                tuple(r for entry in self.entries() for r in entry.reservations)
            )

    def describe(self, node: CpuNode, *, anew: bool = False) -> None:
        """Take over another platform or capacity of the node; reservations stay.

        ``anew`` makes a new generation in any case: who was refused by this one may ask again.
        """
        with self.lock:
            if anew or node.holding(()) != self._base:
                self._commit({}, base=node.holding(()))

    def judge(self, request: ReservationRequest) -> Admission | Rejection:
        """What ``reserve`` would answer at this moment; changes nothing."""
        with self.lock:
            node = self.node()
            demand = resolve(
                request.workload,
                pod_uid=request.pod.uid,
                platform=node.platform,
                factor=node.platform_factor,
            )
            if isinstance(demand, Reason):
                return Rejection(reason=demand, detail=f"platform {node.platform!r}")
            return self._admit(node, demand)

    def reserve(
        self, request: ReservationRequest, *, containers: tuple[str, ...], claim: Claim
    ) -> Reserved | Rejection:
        """Admit a pod and write it down as leased, or change nothing.

        A repeat of the same request finds the same reservation and renews its lease. ``claim``
        is called with the new entry, and all others as they will be, before anything is written;
        what it raises leaves the book as it was.
        """
        uid = request.pod.uid
        with self.lock:
            held = self._entries.get(uid)
            repeat = held is not None and _same(held.request, request)
            if held is not None and held.phase is not Phase.RELEASING:
                if repeat:
                    self._leases.renew(uid)
                    return Reserved(entry=held, created=False)
                if held.phase is Phase.BOUND:
                    return Rejection(
                        reason=Reason.POD_INVALID, detail="the pod runs under another contract"
                    )
            if request.generation not in (None, self._generation):
                return Rejection(
                    reason=Reason.CPU_STALE_GENERATION,
                    detail=f"judged by {request.generation}, at {self._generation}",
                )
            outcome = self.judge(request)
            if isinstance(outcome, Rejection):
                return outcome
            entry = Entry(
                request=replace(request, generation=None),
                containers=containers,
                phase=Phase.LEASED,
                reservations=outcome.granted,
            )
            changes = {**self._moved(outcome), uid: entry}
            after = {**self._entries, **changes}
            claim(entry, [e for other, e in after.items() if e is not None and other != uid])
            self._commit(changes)
            self._leases.renew(uid)
            return Reserved(entry=entry, created=True)

    def confirm(self, pod_uid: str) -> bool:
        """The pod is bound here: its lease no longer runs out. False when nothing was leased."""
        return self._advance(pod_uid, Phase.LEASED, Phase.BOUND)

    def let_go(self, pod_uid: str) -> bool:
        """Begin a release; the bandwidth stays reserved until ``forget``. False when absent."""
        with self.lock:
            entry = self._entries.get(pod_uid)
            return entry is not None and self._advance(pod_uid, entry.phase, Phase.RELEASING)

    def forget(self, pod_uid: str) -> bool:
        """The kernel holds nothing of the pod any more: give its bandwidth back."""
        with self.lock:
            if pod_uid not in self._entries:
                return False
            self._commit({pod_uid: None})
            self._leases.drop(pod_uid)
            return True

    def unsure(self) -> tuple[Entry, ...]:
        """Leases whose pod should be looked up now: at times, and when they ran out."""
        with self.lock:
            leased = [entry for entry in self.entries() if entry.phase is Phase.LEASED]
            return tuple(entry for entry in leased if self._leases.is_due(entry.pod.uid))

    def is_leased(self, pod_uid: str) -> bool:
        """Whether a pod holds a lease."""
        entry = self.find(pod_uid)
        return entry is not None and entry.phase is Phase.LEASED

    def has_expired(self, pod_uid: str) -> bool:
        """Whether a pod holds a lease that ran out."""
        with self.lock:
            return self.is_leased(pod_uid) and self._leases.has_expired(pod_uid)

    def _moved(self, outcome: Admission) -> dict[str, Entry | None]:
        """Entries of other pods whose servers grew or whose bands moved."""
        by_pod: dict[str, list[Reservation]] = {}
        for reservation in outcome.node.reservations:
            by_pod.setdefault(reservation.pod_uid, []).append(reservation)
        changed: dict[str, Entry | None] = {}
        for uid, entry in self._entries.items():
            if uid in by_pod and (after := entry.holding(tuple(by_pod[uid]))) != entry:
                changed[uid] = after
        return changed

    def _advance(self, pod_uid: str, before: Phase, after: Phase) -> bool:
        with self.lock:
            entry = self._entries.get(pod_uid)
            if entry is None or entry.phase is not before or before is after:
                return False
            moved = entry.in_phase(after)
            self._store.write({_POD + pod_uid: format_entry(moved)})
            self._entries[pod_uid] = moved
            return True

    def _commit(self, changes: Mapping[str, Entry | None], *, base: CpuNode | None = None) -> None:
        """Write entries and the next generation in one transaction, then show them."""
        texts = {
            _POD + uid: None if entry is None else format_entry(entry)
            for uid, entry in changes.items()
        }
        self._store.write({**texts, _GENERATION: str(self._generation + 1)})
        self._generation += 1
        self._base = base or self._base
        for uid, entry in changes.items():
            if entry is None:
                self._entries.pop(uid, None)
            else:
                self._entries[uid] = entry


def _read_generation(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS):
        raise UnavailableError(f"the store is damaged: generation {text[:40]!r}")
    return int(text)


def _same(one: ReservationRequest, other: ReservationRequest) -> bool:
    return one.pod == other.pod and one.workload == other.workload
