"""Entries of a bind in the status of Networks, under optimistic concurrency.

An entry is written on condition of the version in which its place was found. After a conflict the
place is searched again in the newest version. An entry names the attempt: a bind removes only what
it made itself, and a repeat for the same pod and node takes over the entry that it finds, because
the pod may be bound with it already. An entry that nobody removes expires at ``until``, unless the
pod is bound to its node by then.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from prometheus_client import Counter

from extender.cache.networks import NetworkTable
from extender.placement.network_admission import NetworkAdmission
from extender.placement.networks import Wish, as_seen_by, entry_of
from extender.ports import Networks
from extender.protocol import BindingArgs
from k40s.errors import UnavailableError
from k40s.kube.transport import ConflictError, NotFoundError
from k40s.network.fit import find_reservation
from k40s.network.model import NetworkReservation, NetworkState, Owner
from k40s.reasons import Reason
from k40s.units import NS_PER_MS, NS_PER_S, NS_PER_US, Clock, Nanoseconds, WallClock

_log = logging.getLogger(__name__)

UNDO = Nanoseconds(400 * NS_PER_MS)
"""Bound of a station's withdrawal, and of all removals of entries together."""
_PAUSE = Nanoseconds(4 * NS_PER_MS)
_LONGEST_PAUSE = Nanoseconds(128 * NS_PER_MS)
_LEAST = Nanoseconds(100 * NS_PER_MS)
"""Time limit of a request that begins just before the deadline. One that is cut short costs its
connection and leaves unknown what became of it, so it makes an overload worse."""

Pause = Callable[[Nanoseconds], object]
"""Waits so long, or shorter when the process ends."""


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One bind: its name, unique across processes, and the clock's time when it gives up.

    ``undo_deadline`` is that of all removals together, once the first has begun.
    """

    args: BindingArgs
    name: str
    deadline: int
    undo_deadline: int | None = None


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
        clock: Clock,
        wall: WallClock,
        lease: Nanoseconds,
        pause: Pause,
        jitter: Callable[[], float],
        conflicts: Counter,
    ) -> None:
        """``lease``: how long an entry holds for a pod that does not get bound.

        ``jitter`` gives random numbers from 0 to 1; ``conflicts`` counts refused writes.
        """
        self._table = table
        self._admission = admission
        self._networks = networks
        self._clock = clock
        self._wall = wall
        self._lease = timedelta(microseconds=lease // NS_PER_US)
        self._pause = pause
        self._jitter = jitter
        self._conflicts = conflicts
        self._lock = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}

    def book(self, attempt: Attempt, wish: Wish, undo: ExitStack) -> NetworkReservation | Reason:
        """Writes the entry of one network; ``undo`` gets its removal.

        Raises ``UnavailableError``: where the entry may have been written, it is removed before.
        """
        with self._turn(wish.network, attempt.deadline) as has_turn:
            state = self._table.states().get(wish.network)
            tries = 0
            while has_turn and self._clock() < attempt.deadline:
                plan = self._plan(attempt, wish, state)
                if isinstance(plan, Reason):
                    return plan
                if self._write(attempt, plan, undo):
                    return plan.entry
                tries += 1
                if not self._wait(attempt.deadline, tries):
                    break
                state = self._read(wish.network, attempt.deadline)
        return Reason.NETWORK_CONFLICTS

    def _plan(self, attempt: Attempt, wish: Wish, state: NetworkState | None) -> _Plan | Reason:
        """The pod's own entry if it does, else one in a free place."""
        if state is None:
            return Reason.NETWORK_UNKNOWN if self._table.listed else Reason.API_SILENT
        args = attempt.args
        seen = as_seen_by(state, args.uid, args.node)
        found = find_reservation(
            seen,
            args.node,
            Owner(uid=args.uid, namespace=args.namespace, name=args.name),
            wish.requirements,
            places=self._admission.places(wish).get,
        )
        if isinstance(found, Reason):
            return found
        own = entry_of(state, args.uid, args.node)
        if own is not None and own.until is None:  # it is bound, and what it holds then stays
            return _Plan(state=state, entry=own, created=False) if found is own else _BOUND
        until = self._wall() + self._lease
        entry = replace(found, attempt=attempt.name, until=until)
        return _Plan(state=state, entry=entry, created=found is not own)

    def _write(self, attempt: Attempt, plan: _Plan, undo: ExitStack) -> bool:
        """Writes the entry; False if the Network is at another version."""
        state, entry = plan.state, plan.entry
        own = entry_of(state, entry.owner.uid, entry.node)
        if entry is own:
            return True
        name = state.network.name
        with ExitStack() as unknown:
            if plan.created:
                unknown.callback(self._remove, attempt, name, was_written=False)
            try:
                written = self._networks.update_network_reservations(
                    name,
                    (*(one for one in state.reservations if one is not own), entry),
                    version=state.resource_version,
                    timeout=self._left(attempt.deadline),
                )
            except (ConflictError, NotFoundError):
                unknown.pop_all()
                self._conflicts.inc()
                return False
            unknown.pop_all()
        self._table.put(written.state)
        if plan.created:
            undo.callback(self._remove, attempt, name, was_written=True)
        return True

    def _remove(self, attempt: Attempt, name: str, *, was_written: bool) -> None:
        """Removes the attempt's entry; if it is unknown whether it was written, looks first."""
        if attempt.undo_deadline is None:
            attempt.undo_deadline = self._clock() + UNDO
        cause = "no time left"
        if self._clock() < attempt.undo_deadline:
            cause = self._try_to_remove(attempt, name, attempt.undo_deadline, looks=not was_written)
        if cause:
            facts = attempt.args.facts | {"network": name, "cause": cause}
            _log.warning("network reservation not removed; it will expire", extra=facts)

    def _try_to_remove(self, attempt: Attempt, name: str, deadline: int, *, looks: bool) -> str:
        """Returns why the entry may still be there, if so."""
        tries = 0
        try:
            state = self._read(name, deadline) if looks else self._table.states().get(name)
            while state is not None and not self._remove_from(state, attempt, deadline):
                tries += 1
                if not self._wait(deadline, tries):
                    return "conflicts"
                state = self._read(name, deadline)
        except UnavailableError as error:
            return str(error)
        return ""

    def _remove_from(self, state: NetworkState, attempt: Attempt, deadline: int) -> bool:
        """Writes that version without the attempt's entry; False if there is a newer one."""
        own = entry_of(state, attempt.args.uid, attempt.args.node)
        if own is None or own.attempt != attempt.name:
            return True
        name = state.network.name
        try:
            written = self._networks.update_network_reservations(
                name,
                tuple(one for one in state.reservations if one is not own),
                version=state.resource_version,
                timeout=self._left(deadline),
            )
        except ConflictError:
            return False
        except NotFoundError:
            return True
        self._table.put(written.state)
        return True

    def _read(self, name: str, deadline: int) -> NetworkState | None:
        """The newest version of the Network, with the reservations that count."""
        found = self._networks.get_network(name, timeout=self._left(deadline))
        return None if found is None else self._table.put(found.state)

    def _wait(self, deadline: int, tries: int) -> bool:
        """Waits before another try, longer each time, half of it random; False if it is late."""
        whole = min(_PAUSE << min(tries - 1, 10), _LONGEST_PAUSE)
        pause = Nanoseconds(int(whole * (1 + self._jitter()) / 2))
        if self._clock() + pause >= deadline:
            return False
        self._pause(pause)
        return True

    def _left(self, deadline: int) -> Nanoseconds:
        return Nanoseconds(max(deadline - self._clock(), _LEAST))

    @contextmanager
    def _turn(self, network: str, deadline: int) -> Iterator[bool]:
        """Binds of this process take turns, so as not to conflict; False if it gets too late."""
        with self._lock:
            lock = self._turns.setdefault(network, threading.Lock())
        has_turn = lock.acquire(timeout=self._left(deadline) / NS_PER_S)
        try:
            yield has_turn
        finally:
            if has_turn:
                lock.release()


_BOUND = Reason.POD_CHANGED
