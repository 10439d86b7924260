"""The reservations of this node: the single writer of the servers that pods hold on cores."""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from daemons.rubicante.book.entry import Entry, Phase, format_entries, parse_entries
from k40s.cpu.model import CpuNode, Reservation
from k40s.cpu.outcome import Admission, Admit, Rejection
from k40s.cpu.workload import resolve
from k40s.errors import UnavailableError
from k40s.node_agent.reservation_leases import Leases
from k40s.node_api.messages import ReservationRequest
from k40s.reasons import Reason
from k40s.units import Clock, Nanoseconds

Claim = Callable[[Entry, Iterable[Entry]], None]
"""Reserves an entry in the kernel, beside all others; raises when the kernel refuses."""

_GENERATION = "generation"
_MAX_DIGITS = 18


class BookStore(Protocol):
    """Durable key → text. Both methods raise ``UnavailableError``."""

    def entries(self) -> Mapping[str, str]:
        """All keys and texts."""
        ...

    def write(self, changes: Mapping[str, str | None]) -> None:
        """Put and (None) delete in one transaction that survives kill −9."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """``created`` is False when the book already held the same reservation."""

    entry: Entry
    created: bool


class Book:
    """Reserves, confirms and releases; each change is on disk before it is visible.

    ``lock`` guards the book and, since the kernel follows the book, all changes of the kernel.
    ``node`` is the node without reservations. The generation counts changes of what admission
    sees; it never decreases, not by a restart either.
    """

    def __init__(
        self,
        *,
        store: BookStore,
        node: CpuNode,
        admit: Admit,
        lease: Nanoseconds,
        clock: Clock,
    ) -> None:
        self.lock = threading.RLock()
        self._store = store
        self._base = node.holding(())
        self._admit = admit
        held = store.entries()
        self._generation = _read_generation(held.get(_GENERATION, "0"))
        self._entries = parse_entries(held)
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

    def describe(self, node: CpuNode, *, invalidate: bool = False) -> None:
        """Take over another platform or capacity of the node; reservations stay.

        ``invalidate`` begins a new generation in any case, so that pods refused in this generation
        are retried.
        """
        with self.lock:
            if invalidate or node.holding(()) != self._base:
                self._commit({}, base=node.holding(()))

    def preview(self, request: ReservationRequest, *, runs: bool = False) -> Admission | Rejection:
        """What ``reserve`` would answer now; changes nothing."""
        with self.lock:
            node = self.node()
            if runs:
                node = replace(node, hi_reserve=None)
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
        self,
        request: ReservationRequest,
        *,
        containers: tuple[str, ...],
        claim: Claim,
        attempt: str = "",
        runs: bool = False,
    ) -> Reserved | Rejection:
        """Admit a pod and store a leased entry, or change nothing.

        A pod that ``runs`` by an earlier grant is admitted even where it leaves no room for HI.
        A repeat of the same request returns the same reservation and renews its lease. The request
        of a withdrawn ``attempt`` is refused. ``claim`` is called before anything is written, with
        the new entry and all others as they will be; what it raises leaves the book unchanged.
        """
        uid = request.pod.uid
        with self.lock:
            if self._leases.is_withdrawn(attempt):
                return Rejection(reason=Reason.POD_WITHDRAWN)
            held = self._entries.get(uid)
            repeat = held is not None and _same(held.request, request)
            if held is not None and held.phase is not Phase.RELEASING:
                if repeat:
                    self._leases.renew(uid, attempt)
                    return Reserved(entry=held, created=False)
                if held.phase is Phase.BOUND:
                    return Rejection(
                        reason=Reason.POD_CHANGED, detail="the pod runs under another contract"
                    )
            if request.generation not in (None, self._generation):
                return Rejection(
                    reason=Reason.CPU_STALE_GENERATION,
                    detail=f"judged by {request.generation}, at {self._generation}",
                )
            outcome = self.preview(request, runs=runs)
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
            self._leases.grant(uid, attempt)
            return Reserved(entry=entry, created=True)

    def confirm(self, pod_uid: str) -> bool:
        """The pod is bound here: its lease no longer expires. False when nothing was leased."""
        return self._advance(pod_uid, Phase.LEASED, Phase.BOUND)

    def start_release(self, pod_uid: str) -> bool:
        """Enter RELEASING; the bandwidth stays reserved until ``forget``. False when absent."""
        with self.lock:
            entry = self._entries.get(pod_uid)
            return entry is not None and self._advance(pod_uid, entry.phase, Phase.RELEASING)

    def forget(self, pod_uid: str) -> bool:
        """Remove the entry, once the kernel holds nothing of the pod any more."""
        with self.lock:
            if pod_uid not in self._entries:
                return False
            self._commit({pod_uid: None})
            self._leases.drop(pod_uid)
            return True

    def withdraw(self, pod_uid: str, attempt: str) -> bool:
        """Withdraw an attempt to reserve; True if no other attempt waits for the reservation."""
        with self.lock:
            return self._leases.withdraw(pod_uid, attempt)

    def due_leases(self) -> tuple[Entry, ...]:
        """Leases whose pod should be looked up now: at growing intervals, and on expiry."""
        with self.lock:
            leased = [entry for entry in self.entries() if entry.phase is Phase.LEASED]
            return tuple(entry for entry in leased if self._leases.is_due(entry.pod.uid))

    def is_leased(self, pod_uid: str) -> bool:
        """Whether a pod holds a lease."""
        entry = self.find(pod_uid)
        return entry is not None and entry.phase is Phase.LEASED

    def has_expired(self, pod_uid: str) -> bool:
        """Whether a pod holds a lease that has expired."""
        with self.lock:
            return self.is_leased(pod_uid) and self._leases.has_expired(pod_uid)

    def _moved(self, outcome: Admission) -> dict[str, Entry | None]:
        """Other pods' entries whose servers grew or whose priority bands moved."""
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
            self._store.write(format_entries({pod_uid: moved}))
            self._entries[pod_uid] = moved
            return True

    def _commit(self, changes: Mapping[str, Entry | None], *, base: CpuNode | None = None) -> None:
        """Write entries and the next generation in one transaction, then take them over."""
        self._store.write({**format_entries(changes), _GENERATION: str(self._generation + 1)})
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
