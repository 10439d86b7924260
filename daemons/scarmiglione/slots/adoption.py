"""Takes over the slots of pods that run here and that the book does not know.

The channels that a running pod was told, in its annotation, must stay what they are.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from daemons.scarmiglione.network.back_end import StationState
from daemons.scarmiglione.slots.allocation import Rejection, choose_channels
from daemons.scarmiglione.slots.book import Book
from daemons.scarmiglione.slots.entry import Entry, Phase
from daemons.scarmiglione.slots.judgement import Reservations, requested
from daemons.scarmiglione.slots.reports import SlotReports
from daemons.scarmiglione.station.stations import Station, StationKey, Stations
from k40s.annotations import NETWORK_GRANT_KEY, parse_network_grants
from k40s.annotations.network import GrantedSlots
from k40s.errors import InvalidAnnotationError, InvalidInputError
from k40s.kube.records import PodRecord
from k40s.node_api.bodies import PodRef
from k40s.node_api.network_messages import (
    RequestedSlot,
    SlotsRequest,
    format_slots_request,
    parse_slots_request,
)
from k40s.reasons import Reason
from k40s.tdma.model import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A pod whose slots are to be entered. ``told`` is in the order of ``wanted``."""

    pod: PodRef
    wanted: tuple[tuple[RequestedSlot, Station], ...]
    told: tuple[int | None, ...]


class Adoption:
    """Called under the book's lock. The kernel is given what it lacks by the reconciliation."""

    def __init__(self, *, book: Book, stations: Stations, reports: SlotReports) -> None:
        self._book = book
        self._stations = stations
        self._reports = reports

    def adopt(
        self,
        records: Iterable[PodRecord],
        reserved: Mapping[str, Reservations],
        states: Mapping[StationKey, StationState],
    ) -> tuple[Entry, ...]:
        """Enter what the statuses hold for pods of this node; returns what was entered.

        Raises ``UnavailableError`` for the store.
        """
        waiting = list(self._candidates(records, reserved, states))
        adopted: list[Entry] = []
        for one in waiting:
            others = _told([other for other in waiting if other is not one])
            chosen = _reject(one) or choose_channels(
                one.wanted,
                states=states,
                taken={
                    station.key: self._book.taken(station.key) | others[station.key]
                    for _, station in one.wanted
                },
                told=one.told,
            )
            if isinstance(chosen, Rejection):
                self._reports.failed(one.pod, chosen)
                continue
            entry = Entry(
                pod=one.pod,
                attempt="",
                phase=Phase.APPLYING,
                slots=chosen,
                confirmed=True,
                bound=True,
            )
            adopted.append(self._book.begin(entry))
        return tuple(adopted)

    def _candidates(
        self,
        records: Iterable[PodRecord],
        reserved: Mapping[str, Reservations],
        states: Mapping[StationKey, StationState],
    ) -> Iterator[_Candidate]:
        for record in records:
            held = reserved.get(record.uid)
            if held is None or record.ended or self._book.find(record.uid) is not None:
                continue
            slots = requested(held)
            found = [(slot, self._stations.on(slot.network)) for slot in slots]
            here = [(slot, one) for slot, one in found if one is not None and one.key in states]
            if len(here) == len(slots):
                yield _Candidate(
                    pod=PodRef(uid=record.uid, namespace=record.namespace, name=record.name),
                    wanted=tuple(here),
                    told=told_channels(record, slots),
                )


def _told(candidates: Iterable[_Candidate]) -> Mapping[StationKey, frozenset[int]]:
    """The numbers that pods were told, by station; none for a station that is not there."""
    told: dict[StationKey, frozenset[int]] = defaultdict(frozenset)
    for one in candidates:
        for (_, station), number in zip(one.wanted, one.told, strict=True):
            if number is not None:
                told[station.key] |= {number}
    return told


def _reject(candidate: _Candidate) -> Rejection | None:
    """Whether no request could have asked for this: then the book would not be readable again."""
    slots = tuple(slot for slot, _ in candidate.wanted)
    body = format_slots_request(SlotsRequest(pod=candidate.pod, slots=slots))
    try:
        parse_slots_request(body, pod_uid=None)
    except InvalidInputError as error:
        return Rejection(reason=Reason.NETWORK_STATION_REFUSED, detail=str(error))
    return None


def told_channels(record: PodRecord, slots: Sequence[RequestedSlot]) -> tuple[int | None, ...]:
    """For each slot the channel or priority in the pod's grant; None where it names none."""
    text = record.annotations.get(NETWORK_GRANT_KEY, "")
    try:
        granted = [one for one in parse_network_grants(text) if isinstance(one, GrantedSlots)]
    except InvalidAnnotationError:
        granted = []
    told: list[int | None] = []
    for slot in slots:
        match = next((one for one in granted if _is_of(one, slot)), None)
        if match is not None:
            granted.remove(match)
        told.append(None if match is None else _number(match))
    return tuple(told)


def _number(granted: GrantedSlots) -> int | None:
    return granted.priority if granted.channel is None else granted.channel


def _is_of(granted: GrantedSlots, slot: RequestedSlot) -> bool:
    """Whether a grant is for these windows; the annotation's phasing counts from 1."""
    return granted.network == slot.network and [
        (one.offset, one.phasing, one.every) for one in granted.slots
    ] == [_as_told(window) for window in slot.windows]


def _as_told(window: Window) -> tuple[int, int, int]:
    return window.offset, window.phase + 1, window.every
