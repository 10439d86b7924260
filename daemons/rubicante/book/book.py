"""The reservations of this node: the single writer of the servers that pods hold on cores."""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol

from daemons.rubicante.book import exchanging
from daemons.rubicante.book.entry import Entry, Phase, format_entries, parse_entries
from daemons.rubicante.book.progress import Progress, format_progress, parse_progress
from k40s.cpu.admission.exchange import Exchange
from k40s.cpu.model import CpuNode, PodDemand
from k40s.cpu.outcome import Admission, Admit, Rejection
from k40s.cpu.workload import resolve
from k40s.errors import UnavailableError
from k40s.node_agent.reservation_leases import Leases
from k40s.node_api.messages import ReservationRequest
from k40s.reasons import Reason
from k40s.units import Clock, Nanoseconds

Claim = Callable[[Entry, Iterable[Entry]], None]
"""Reserves an entry in the kernel, beside all others; raises when the kernel refuses."""

FindExchange = Callable[[CpuNode, PodDemand], Exchange | None]
"""An exchange of servers that lets in a pod which admission refuses."""

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
    """``created`` is False when the book already held the same reservation.

    With ``exchange`` the reservation takes effect when that is done.
    """

    entry: Entry
    created: bool
    exchange: Exchange | None = None


class Book:
    """Reserves, confirms and releases; each change is on disk before it is visible.

    Where admission refuses a pod, ``find_exchange`` may find how the servers of a core can be
    exchanged for it; without, none are.

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
        find_exchange: FindExchange | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self._store = store
        self._base = node.holding(())
        self._admit = admit
        self._find_exchange = find_exchange
        held = store.entries()
        self._generation = _read_generation(held.get(_GENERATION, "0"))
        self._entries = parse_entries(held)
        self._exchanges = {
            core: one
            for core, one in parse_progress(held).items()
            if one.withdrawn or one.newcomer in self._entries
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
            return exchanging.as_admitted_to(self.standing(), self._exchanges.values())

    def standing(self) -> CpuNode:
        """The node with what threads may use at present."""
        with self.lock:
            return exchanging.standing(self._base, self._entries, self._exchanges.values())

    def exchanges(self) -> tuple[Progress, ...]:
        """The exchanges of servers under way, by core."""
        with self.lock:
            return tuple(self._exchanges[core] for core in sorted(self._exchanges))

    def describe(self, node: CpuNode, *, invalidate: bool = False) -> None:
        """Take over another platform or capacity of the node; reservations stay.

        ``invalidate`` begins a new generation in any case, so that pods refused in this generation
        are retried.
        """
        with self.lock:
            base = replace(node.holding(()), changing=frozenset())
            if invalidate or base != self._base:
                self._commit({}, base=base)

    def preview(
        self, request: ReservationRequest, *, runs: bool = False
    ) -> Admission | Exchange | Rejection:
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
            outcome = self._admit(node, demand)
            if isinstance(outcome, Admission) or self._find_exchange is None or runs:
                return outcome
            return self._find_exchange(node, demand) or outcome

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

        A pod that ``runs`` by an earlier grant is admitted even where it leaves no room for HI, and
        no servers are exchanged for it.
        A repeat of the same request returns the same reservation and renews its lease. The request
        of a withdrawn ``attempt`` is refused. ``claim`` is called before anything is written, with
        the new entry and all others as they will be; what it raises leaves the book unchanged.
        """
        uid = request.pod.uid
        with self.lock:
            known = self._answer_known(request, attempt)
            if known is not None:
                return known
            outcome = self.preview(request, runs=runs)
            if isinstance(outcome, Rejection):
                return outcome
            entry = Entry(
                request=replace(request, generation=None),
                containers=containers,
                phase=Phase.LEASED,
                reservations=outcome.granted,
            )
            if isinstance(outcome, Exchange):
                progress = Progress(exchange=outcome)
                self._commit({uid: entry}, exchanges={outcome.core: progress})
            else:
                changes = {**self._moved(outcome), uid: entry}
                after = {**self._entries, **changes}
                claim(entry, [e for other, e in after.items() if e is not None and other != uid])
                self._commit(changes)
            self._leases.grant(uid, attempt)
            exchange = outcome if isinstance(outcome, Exchange) else None
            return Reserved(entry=entry, created=True, exchange=exchange)

    def _answer_known(
        self, request: ReservationRequest, attempt: str
    ) -> Reserved | Rejection | None:
        """The answer where no admission is needed: a repeat, or what the book does not take."""
        if self._leases.is_withdrawn(attempt):
            return Rejection(reason=Reason.POD_WITHDRAWN)
        held = self._entries.get(request.pod.uid)
        if held is not None and held.phase is not Phase.RELEASING:
            if _same(held.request, request):
                self._leases.renew(request.pod.uid, attempt)
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
        if held is not None and exchanging.is_changing(held, self._exchanges.values()):
            return Rejection(
                reason=Reason.CPU_CORE_CHANGING, detail="what the pod holds is being exchanged"
            )
        return None

    def begin_step(self, core: int, node: CpuNode) -> None:
        """A reservation has its second group, in the kernel too; ``node`` is the one with both."""
        with self.lock:
            now = self._exchanges[core]
            changed = exchanging.with_step_begun(self._entries, now, node)
            self._commit(changed, exchanges={core: now.begun()})

    def complete_step(self, core: int) -> None:
        """The reservation has its second group alone."""
        with self.lock:
            now = self._exchanges[core]
            changed = exchanging.with_step_completed(self._entries, now)
            self._commit(changed, exchanges={core: now.completed()})

    def arrive(self, core: int, node: CpuNode) -> None:
        """The pod that room was made for takes it; ``node`` is the one with it."""
        with self.lock:
            changed = exchanging.with_newcomer(self._entries, self._exchanges[core], node)
            self._commit(changed, exchanges={core: None})

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
            left = exchanging.without_pod(self._exchanges.values(), pod_uid)
            self._commit({pod_uid: None}, exchanges=left)
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

    def _moved(self, outcome: Admission) -> Mapping[str, Entry]:
        """Other pods' entries whose servers grew or whose priority bands moved.

        Cores that are being exchanged stay as they are: there a pod may have two servers.
        """
        present = outcome.node.reservations
        return exchanging.taking(
            self._entries, (r for r in present if r.core not in self._exchanges)
        )

    def _advance(self, pod_uid: str, before: Phase, after: Phase) -> bool:
        with self.lock:
            entry = self._entries.get(pod_uid)
            if entry is None or entry.phase is not before or before is after:
                return False
            moved = entry.in_phase(after)
            self._store.write(format_entries({pod_uid: moved}))
            self._entries[pod_uid] = moved
            return True

    def _commit(
        self,
        changes: Mapping[str, Entry | None],
        *,
        base: CpuNode | None = None,
        exchanges: Mapping[int, Progress | None] = MappingProxyType({}),
    ) -> None:
        """Write entries, exchanges and the next generation in one transaction, then take them over.

        What is none any more is removed.
        """
        texts = {**format_entries(changes), **format_progress(exchanges)}
        self._store.write({**texts, _GENERATION: str(self._generation + 1)})
        self._generation += 1
        self._base = base or self._base
        for core, progress in exchanges.items():
            if progress is None:
                self._exchanges.pop(core, None)
            else:
                self._exchanges[core] = progress
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
