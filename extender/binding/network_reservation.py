"""The networks' side of a bind: entries in the Networks' status, slots at the station, their undo.

An entry is written on condition of the version in which its place was found. After a conflict the
place is searched again in the newest version. The entry names the attempt: a bind removes only what
it made itself, and a repeat for the same pod and node takes over the entry that it finds. An entry
that nobody removes expires at ``until``, unless the pod is bound to its node by then.
"""

import hashlib
import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from prometheus_client import Counter

from extender.binding.outcome import BindResult, Outcome, refusal
from extender.cache.networks import NetworkTable
from extender.cache.snapshot import NodeView
from extender.cache.workloads import ObservedPod
from extender.placement.network_admission import FindReservation, NetworkAdmission
from extender.placement.networks import Wish, check_station, own_entry, usable, wishes
from extender.ports import Networks, NetworkStations
from extender.protocol import BindingArgs
from k40s.annotations import (
    BackEnd,
    GrantedPath,
    GrantedSlots,
    GrantedWindow,
    NetworkGrant,
    format_network_grants,
)
from k40s.errors import UnavailableError
from k40s.kube.transport import ConflictError, NotFoundError
from k40s.network.model import NetworkReservation, NetworkState, Owner
from k40s.node_api.client import DaemonError
from k40s.node_api.messages import PodRef
from k40s.node_api.network_messages import (
    GrantedSlot,
    RequestedSlot,
    SlotsAnswer,
    SlotsRequest,
)
from k40s.reasons import Reason
from k40s.tdma.model import SlotGrant
from k40s.units import NS_PER_MS, NS_PER_S, NS_PER_US, Clock, Nanoseconds, WallClock

_log = logging.getLogger(__name__)

_UNDO = Nanoseconds(400 * NS_PER_MS)
"""For one step of the undo."""
_PAUSE = Nanoseconds(5 * NS_PER_MS)
_LONGEST_PAUSE = Nanoseconds(80 * NS_PER_MS)

Pause = Callable[[Nanoseconds], object]
"""Waits so long, or shorter when the process ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """``booking`` bounds the entries of one bind, ``station`` its call of the station.

    ``lease`` is how long an entry holds for a pod that does not get bound.
    """

    booking: Nanoseconds
    station: Nanoseconds
    lease: Nanoseconds


@dataclass(slots=True, kw_only=True)
class _Attempt:
    """One bind."""

    args: BindingArgs
    owner: Owner
    name: str
    kind: str
    """The end of ``name``: equal for all attempts that ask for the same of the same networks."""
    deadline: int


@dataclass(slots=True, kw_only=True)
class _Entry:
    """What an attempt holds of one network. ``created``: the undo has to remove it."""

    held: NetworkReservation
    created: bool


class NetworkReservations:
    """Reserves on networks. Any thread may call, also twice at once for the same pod."""

    def __init__(
        self,
        *,
        table: NetworkTable,
        admission: NetworkAdmission,
        networks: Networks,
        stations: NetworkStations,
        find: FindReservation,
        clock: Clock,
        wall: WallClock,
        timing: Timing,
        pause: Pause,
        conflicts: Counter,
        jitter: Callable[[], float],
        name_attempt: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        """``jitter`` gives random numbers from 0 to 1; ``conflicts`` counts refused writes."""
        self._table = table
        self._admission = admission
        self._networks = networks
        self._stations = stations
        self._find = find
        self._clock = clock
        self._wall = wall
        self._timing = timing
        self._pause = pause
        self._conflicts = conflicts
        self._jitter = jitter
        self._name_attempt = name_attempt
        self._lock = threading.Lock()
        self._serial: dict[str, threading.Lock] = {}

    def reserve(
        self, args: BindingArgs, view: NodeView | None, pod: ObservedPod, undo: ExitStack
    ) -> str | BindResult:
        """Reserves on all networks and at the station; returns the grant's annotation.

        ``undo`` gets what takes each of it back. Raises ``UnavailableError``: then it may have been
        done, and ``undo`` takes care of it.
        """
        asked = wishes(pod.contract.requirements)
        states = self._table.states()
        for wish in asked:
            reason = usable(states.get(wish.network))
            if reason is None and wish.of_station:
                holds = own_entry(states[wish.network], args.uid, args.node) is not None
                reason = check_station(view, wish.network, holds=holds)
            if reason is not None:
                return refusal(reason)
        attempt = self._begin(args, pod, asked, states)
        held: list[tuple[str, NetworkReservation]] = []
        for wish in asked:
            entry = self._book(attempt, wish, undo)
            if isinstance(entry, BindResult):
                return entry
            held.append((wish.network, entry))
        slots = [(network, grant) for network, one in held for grant in one.slots]
        granted: tuple[GrantedSlot, ...] = ()
        if slots and view is not None and view.stations is not None:
            answer = self._apply(attempt, view.stations.endpoint, slots, undo)
            if isinstance(answer, BindResult):
                return answer
            granted = answer.granted
        try:
            return format_network_grants(_grants(held, slots, granted))
        except ValueError:
            return refusal(Reason.NETWORK_STATION_FAILED, Outcome.FAULT)

    def _begin(
        self,
        args: BindingArgs,
        pod: ObservedPod,
        asked: tuple[Wish, ...],
        states: Mapping[str, NetworkState],
    ) -> _Attempt:
        facts = [
            (states[one.network].network.generation, sorted(self._admission.peers(one).items()))
            for one in asked
        ]
        text = repr((pod.contract.signature[-1], facts))
        kind = hashlib.sha256(text.encode()).hexdigest()[:16]
        return _Attempt(
            args=args,
            owner=Owner(uid=args.uid, namespace=args.namespace, name=args.name),
            name=f"{self._name_attempt()}.{kind}",
            kind=kind,
            deadline=self._clock() + self._timing.booking,
        )

    def _book(
        self, attempt: _Attempt, wish: Wish, undo: ExitStack
    ) -> NetworkReservation | BindResult:
        """Writes the entry of one network."""
        with self._one_at_a_time(wish.network, attempt.deadline) as free:
            state = self._table.states().get(wish.network) if free else None
            tries = 0
            while free:
                entry = self._plan(attempt, wish, state)
                if isinstance(entry, Reason) or state is None:
                    return refusal(entry if isinstance(entry, Reason) else Reason.NETWORK_UNKNOWN)
                if self._write(attempt, state, entry, undo):
                    return entry.held
                tries += 1
                if not self._wait(attempt.deadline, tries):
                    break
                state = self._read(wish.network, attempt.deadline)
        return refusal(Reason.NETWORK_CONFLICTS)

    def _plan(
        self, attempt: _Attempt, wish: Wish, state: NetworkState | None
    ) -> _Entry | Reason:
        """The entry to write into that version: the pod's own one, or one in a free place."""
        reason = usable(state)
        if reason is not None or state is None:
            return reason or Reason.NETWORK_UNKNOWN
        uid, node = attempt.owner.uid, attempt.args.node
        own = own_entry(state, uid, node)
        until = self._wall() + timedelta(microseconds=self._timing.lease // NS_PER_US)
        if own is not None and own.attempt.endswith(f".{attempt.kind}"):
            kept = replace(own, attempt=attempt.name, until=until if own.until else None)
            return _Entry(held=kept, created=False)
        if own is not None and own.until is None:
            return Reason.POD_CHANGED  # it is bound, and what it was bound with stays
        others = tuple(one for one in state.reservations if one is not own)
        found = self._find(
            replace(state, reservations=others),
            attempt.owner,
            node,
            wish.requirements,
            self._admission.peers(wish),
        )
        if isinstance(found, Reason):
            return found
        made = replace(found, attempt=attempt.name, until=until)
        return _Entry(held=made, created=True)

    def _write(
        self, attempt: _Attempt, state: NetworkState, entry: _Entry, undo: ExitStack
    ) -> bool:
        """Writes the entry into that version; False if the Network is at another one."""
        name, held = state.network.name, entry.held
        own = own_entry(state, held.owner.uid, held.node)
        others = tuple(one for one in state.reservations if one is not own)
        with ExitStack() as unknown:
            if entry.created:
                unknown.callback(self._remove, attempt, name, None)
            try:
                written = self._networks.update_network_reservations(
                    state, (*others, held), timeout=self._left(attempt.deadline)
                )
            except (ConflictError, NotFoundError):
                unknown.pop_all()
                self._conflicts.inc()
                return False
            unknown.pop_all()
        newest = self._table.put(written)
        if entry.created:
            undo.callback(self._remove, attempt, name, newest)
        return True

    def _remove(self, attempt: _Attempt, name: str, state: NetworkState | None) -> None:
        """Removes the entry of this attempt; ``state`` may be outdated, None asks for the newest."""
        deadline = self._clock() + _UNDO
        tries = 0
        try:
            while True:
                state = state or self._read(name, deadline)
                own = state and own_entry(state, attempt.owner.uid, attempt.args.node)
                if state is None or own is None or own.attempt != attempt.name:
                    return
                others = tuple(one for one in state.reservations if one is not own)
                try:
                    self._table.put(
                        self._networks.update_network_reservations(
                            state, others, timeout=self._left(deadline)
                        )
                    )
                except ConflictError:
                    state = None
                else:
                    return
                tries += 1
                if not self._wait(deadline, tries):
                    cause = "conflicts"
                    break
        except (UnavailableError, NotFoundError) as error:
            cause = str(error)
        facts = attempt.args.facts | {"network": name, "cause": cause}
        _log.warning("network reservation not removed; it will expire", extra=facts)

    def _apply(
        self,
        attempt: _Attempt,
        endpoint: str,
        slots: list[tuple[str, SlotGrant]],
        undo: ExitStack,
    ) -> SlotsAnswer | BindResult:
        """Sets up all slots of the pod at the node's station."""
        args = attempt.args
        request = SlotsRequest(
            pod=PodRef(uid=args.uid, namespace=args.namespace, name=args.name),
            slots=tuple(
                RequestedSlot(network=network, windows=grant.windows) for network, grant in slots
            ),
        )
        try:
            answer = self._stations.apply(
                endpoint, request, attempt=attempt.name, timeout=self._timing.station
            )
        except DaemonError as error:
            _log.warning("slots not set up", extra=args.facts | {"cause": str(error)})
            if not error.certain:
                self._withdraw(endpoint, attempt)
            return refusal(error.reason, Outcome.FAULT)
        if answer.reason is not None:
            extra = args.facts | {"cause": answer.detail or answer.reason.value}
            _log.info("slots refused by the station", extra=extra)
            return refusal(answer.reason)
        undo.callback(self._withdraw, endpoint, attempt)
        return answer

    def _withdraw(self, endpoint: str, attempt: _Attempt) -> None:
        try:
            self._stations.withdraw(
                endpoint, attempt.owner.uid, attempt=attempt.name, timeout=_UNDO
            )
        except DaemonError as error:
            extra = attempt.args.facts | {"cause": str(error)}
            _log.warning("slots not withdrawn; the station will remove them", extra=extra)

    def _read(self, name: str, deadline: int) -> NetworkState | None:
        """The newest version of the Network, with the reservations that count."""
        state = self._networks.get_network(name, timeout=self._left(deadline))
        return None if state is None else self._table.put(state)

    def _wait(self, deadline: int, tries: int) -> bool:
        """Waits before another try, longer each time, half of it random; False if it is late."""
        whole = min(_PAUSE << min(tries - 1, 10), _LONGEST_PAUSE)
        pause = Nanoseconds(int(whole * (1 + self._jitter()) / 2))
        if self._clock() + pause >= deadline:
            return False
        self._pause(pause)
        return True

    def _left(self, deadline: int) -> Nanoseconds:
        return Nanoseconds(max(deadline - self._clock(), NS_PER_MS))

    @contextmanager
    def _one_at_a_time(self, network: str, deadline: int) -> Iterator[bool]:
        """Binds of this process do not conflict with each other; False if it gets too late."""
        with self._lock:
            lock = self._serial.setdefault(network, threading.Lock())
        free = lock.acquire(timeout=self._left(deadline) / NS_PER_S)
        try:
            yield free
        finally:
            if free:
                lock.release()


def _grants(
    held: list[tuple[str, NetworkReservation]],
    slots: list[tuple[str, SlotGrant]],
    granted: tuple[GrantedSlot, ...],
) -> tuple[NetworkGrant, ...]:
    """What the pod is told. Raises ``ValueError`` if the station's answer is of another form."""
    of_slots = (
        GrantedSlots(
            network=network,
            interface=answer.interface,
            back_end=BackEnd(answer.backend),
            slots=tuple(
                GrantedWindow(
                    offset=window.offset,
                    phasing=window.phase + 1,
                    every=window.every,
                    payload=window.payload,
                )
                for window in grant.windows
            ),
            channel=answer.channel,
            priority=answer.priority,
        )
        for (network, grant), answer in zip(slots, granted, strict=True)
    )
    of_paths = (
        GrantedPath(network=network, path=path) for network, one in held for path in one.paths
    )
    return (*of_slots, *of_paths)
