"""The networks' side of a bind: entries in the Networks' status, then slots at the station."""

import logging
import secrets
from collections.abc import Callable
from contextlib import ExitStack

from extender.binding.conditional_writes import UNDO, Attempt
from extender.binding.network_entries import NetworkEntries
from extender.binding.outcome import BindResult, Outcome, refusal
from extender.cache.networks import NetworkTable
from extender.cache.snapshot import NodeView
from extender.cache.workloads import ObservedPod
from extender.placement.networks import check_station, entry_of, wishes
from extender.ports import NetworkStations
from extender.protocol import BindingArgs
from k40s.annotations import (
    BackEnd,
    GrantedPath,
    GrantedSlots,
    GrantedWindow,
    NetworkGrant,
    format_network_grants,
)
from k40s.annotations.network import MAX_GRANT_TEXT
from k40s.network.model import NetworkReservation
from k40s.node_api.client import DaemonError
from k40s.node_api.messages import PodRef
from k40s.node_api.network_messages import GrantedSlot, RequestedSlot, SlotsAnswer, SlotsRequest
from k40s.reasons import Reason
from k40s.units import Clock, Nanoseconds

_log = logging.getLogger(__name__)

_Held = list[tuple[str, NetworkReservation]]


class NetworkReservations:
    """Reserves on networks. Any thread may call, also twice at once for the same pod."""

    def __init__(
        self,
        *,
        table: NetworkTable,
        entries: NetworkEntries,
        stations: NetworkStations,
        clock: Clock,
        timeout: Nanoseconds,
        station_timeout: Nanoseconds,
        name_attempt: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        """``timeout`` bounds the writes of all entries of one bind."""
        self._table = table
        self._entries = entries
        self._stations = stations
        self._clock = clock
        self._timeout = timeout
        self._station_timeout = station_timeout
        self._name_attempt = name_attempt

    def reserve(
        self, args: BindingArgs, view: NodeView | None, pod: ObservedPod, undo: ExitStack
    ) -> str | BindResult:
        """Reserves on all networks and at the station; returns the grant's annotation.

        ``undo`` gets what takes each step back. Raises ``UnavailableError``.
        """
        refused = self._check_stations(args, view, pod)
        if refused is not None:
            return refusal(refused)
        attempt = Attempt(
            args=args, name=self._name_attempt(), deadline=self._clock() + self._timeout
        )
        held: _Held = []
        for wish in wishes(pod.contract.requirements):
            entry = self._entries.book(attempt, wish, undo)
            if isinstance(entry, Reason):
                return refusal(entry)
            held.append((wish.network, entry))
        requested = tuple(
            RequestedSlot(network=network, windows=grant.windows)
            for network, one in held
            for grant in one.slots
        )
        granted: tuple[GrantedSlot, ...] = ()
        if requested and view is not None and view.stations is not None:
            answer = self._apply(attempt, view.stations.endpoint, requested, undo)
            if isinstance(answer, BindResult):
                return answer
            granted = answer.granted
        try:
            text = format_network_grants(_grants(held, requested, granted))
        except ValueError:
            return refusal(Reason.NETWORK_STATION_FAILED, Outcome.FAULT)
        return text if len(text) <= MAX_GRANT_TEXT else refusal(Reason.NETWORK_FULL)

    def _check_stations(
        self, args: BindingArgs, view: NodeView | None, pod: ObservedPod
    ) -> Reason | None:
        """The node, once more: before anything is written."""
        states = self._table.states()
        for wish in wishes(pod.contract.requirements):
            state = states.get(wish.network)
            if wish.has_slots and state is not None:
                holds = entry_of(state, args.uid, args.node) is not None
                refused = check_station(view, wish.network, holds=holds)
                if refused is not None:
                    return refused
        return None

    def _apply(
        self,
        attempt: Attempt,
        endpoint: str,
        slots: tuple[RequestedSlot, ...],
        undo: ExitStack,
    ) -> SlotsAnswer | BindResult:
        """Sets up all slots of the pod at the node's station."""
        args = attempt.args
        ref = PodRef(uid=args.uid, namespace=args.namespace, name=args.name)
        try:
            answer = self._stations.apply(
                endpoint,
                SlotsRequest(pod=ref, slots=slots),
                attempt=attempt.name,
                timeout=self._station_timeout,
            )
        except DaemonError as error:
            _log.warning("slots not set up", extra=args.facts | {"cause": str(error)})
            if not error.certain:
                self._withdraw(endpoint, attempt)
            return refusal(error.reason, Outcome.FAULT)
        if answer.reason is not None:
            cause = answer.detail or answer.reason.value
            _log.info("slots refused by the station", extra=args.facts | {"cause": cause})
            return refusal(answer.reason)
        undo.callback(self._withdraw, endpoint, attempt)
        return answer

    def _withdraw(self, endpoint: str, attempt: Attempt) -> None:
        uid = attempt.args.uid
        try:
            self._stations.withdraw(endpoint, uid, attempt=attempt.name, timeout=UNDO)
        except DaemonError as error:
            extra = attempt.args.facts | {"cause": str(error)}
            _log.warning("slots not withdrawn; the station will remove them", extra=extra)


def _grants(
    held: _Held, requested: tuple[RequestedSlot, ...], granted: tuple[GrantedSlot, ...]
) -> tuple[NetworkGrant, ...]:
    """What the pod is told. Raises ``ValueError`` if the station's answer is of another form."""
    of_slots = (
        GrantedSlots(
            network=slot.network,
            interface=answer.interface,
            back_end=BackEnd(answer.backend),
            slots=tuple(
                GrantedWindow(
                    offset=window.offset,
                    phasing=window.phase + 1,
                    every=window.every,
                    payload=window.payload,
                )
                for window in slot.windows
            ),
            channel=answer.channel,
            priority=answer.priority,
        )
        for slot, answer in zip(requested, granted, strict=True)
    )
    of_paths = (
        GrantedPath(network=network, path=path) for network, one in held for path in one.paths
    )
    return (*of_slots, *of_paths)
