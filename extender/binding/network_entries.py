"""Entries of a bind in the status of Networks: see ``extender.binding.conditional_writes``."""

import logging
from contextlib import ExitStack
from dataclasses import dataclass, replace

from prometheus_client import Counter

from extender.binding.conditional_writes import Attempt, ConditionalWrites
from extender.binding.entry_lease import EntryLease
from extender.binding.ledger_entries import LedgerEntries
from extender.cache.networks import NetworkTable
from extender.placement.network_admission import NetworkAdmission
from extender.placement.networks import Wish, as_seen_by, entry_of
from extender.ports import Networks
from k40s.ledger.entry import Owner
from k40s.network.fit import find_reservation
from k40s.network.model import NetworkReservation, NetworkState
from k40s.reasons import Reason
from k40s.units import Clock

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What to write into one version of a Network. ``created``: the undo has to remove it."""

    state: NetworkState
    entry: NetworkReservation
    created: bool


class NetworkEntries:
    """Writes and removes entries. Any thread may call, also twice at once for the same pod."""

    def __init__(
        self,
        *,
        table: NetworkTable,
        admission: NetworkAdmission,
        networks: Networks,
        writes: ConditionalWrites,
        clock: Clock,
        lease: EntryLease,
        conflicts: Counter,
    ) -> None:
        """``conflicts`` counts refused writes."""
        self._table = table
        self._admission = admission
        self._entries = LedgerEntries(
            table=table,
            entries=_entries_of,
            get=networks.get_network,
            update=networks.update_network_reservations,
            writes=writes,
            conflicts=conflicts,
            left_behind=_left_behind,
        )
        self._writes = writes
        self._clock = clock
        self._lease = lease

    def book(self, attempt: Attempt, wish: Wish, undo: ExitStack) -> NetworkReservation | Reason:
        """Writes the entry of one network; ``undo`` gets its removal.

        Raises ``UnavailableError``: where the entry may have been written, it is removed before.
        """

        def act(state: NetworkState | None) -> NetworkReservation | Reason | None:
            plan = self._plan(attempt, wish, state)
            if isinstance(plan, Reason):
                return plan
            written = self._entries.write(
                attempt,
                plan.state,
                own=entry_of(plan.state, plan.entry.owner.uid, plan.entry.node),
                entry=plan.entry,
                created=plan.created,
                undo=undo,
            )
            return plan.entry if written else None

        found = self._writes.write(
            wish.network,
            attempt.deadline,
            first=lambda: self._entries.known(wish.network),
            newest=lambda: self._entries.newest(wish.network, attempt.deadline),
            act=act,
        )
        return Reason.NETWORK_CONFLICTS if found is None else found

    def _plan(self, attempt: Attempt, wish: Wish, state: NetworkState | None) -> _Plan | Reason:
        """The pod's own entry if it does, else one in a free place.

        A search that takes half of what time is left takes the earliest of the good places.
        """
        if state is None:
            return Reason.NETWORK_UNKNOWN if self._table.listed else Reason.API_SILENT
        args = attempt.args
        half = (self._clock() + attempt.deadline) // 2
        seen = as_seen_by(state, args.uid, args.node)
        found = find_reservation(
            seen,
            args.node,
            Owner(uid=args.uid, namespace=args.namespace, name=args.name),
            wish.requirements,
            places=self._admission.places(wish).get,
            late=lambda: self._clock() >= half,
        )
        if isinstance(found, Reason):
            return found
        own = entry_of(state, args.uid, args.node)
        if own is not None and own.until is None:  # it is bound, and what it holds then stays
            return _Plan(state=state, entry=own, created=False) if found is own else _BOUND
        until = self._lease.until()
        entry = replace(found, attempt=attempt.name, until=until)
        return _Plan(state=state, entry=entry, created=found is not own)


def _entries_of(state: NetworkState) -> tuple[NetworkReservation, ...]:
    return state.reservations


def _left_behind(attempt: Attempt, name: str, cause: str) -> None:
    facts = attempt.args.facts | {"network": name, "cause": cause}
    _log.warning("network reservation not removed; it will expire", extra=facts)


_BOUND = Reason.POD_CHANGED
