"""A record of the book: a pod, its slots with their channels, and how far they are; its text."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from daemons.scarmiglione.network.back_end import BackEndName, Channel, ChannelKind
from daemons.scarmiglione.station.stations import StationKey
from k40s.errors import InvalidInputError, UnavailableError
from k40s.node_api.bodies import PodRef, pod_json, read_pod
from k40s.node_api.network_messages import (
    MAX_CHANNEL,
    MAX_SLOTS,
    MAX_WINDOWS,
    GrantedSlot,
    RequestedSlot,
    read_interface,
    read_network,
    read_window,
    window_json,
)
from k40s.strict_json import Json, format_json, read_json
from k40s.tdma.model import Window

_KEY = "pod/"
_MAX_ENTRY = 1 << 20


class Phase(StrEnum):
    """``APPLYING`` and ``RELEASING``: the kernel may hold all, some or none of it.

    ``APPLIED``: the kernel held all of it.
    """

    APPLYING = "applying"
    APPLIED = "applied"
    RELEASING = "releasing"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldSlot:
    """One slot: its windows, and the channel that was chosen for it on the station."""

    network: str
    interface: str
    back_end: BackEndName
    windows: tuple[Window, ...]
    channel: Channel

    @property
    def station(self) -> StationKey:
        """The station that it is on."""
        return StationKey(network=self.network, interface=self.interface)

    @property
    def granted(self) -> GrantedSlot:
        """What its pod is told."""
        number, kind = self.channel.number, self.channel.kind
        return GrantedSlot(
            network=self.network,
            interface=self.interface,
            backend=self.back_end.value,
            channel=number if kind is ChannelKind.CHANNEL else None,
            priority=number if kind is ChannelKind.PRIORITY else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """``confirmed``: a Network's status has held the reservation. ``bound``: the pod was here."""

    pod: PodRef
    attempt: str
    phase: Phase
    slots: tuple[HeldSlot, ...]
    confirmed: bool = False
    bound: bool = False

    @property
    def requested(self) -> tuple[RequestedSlot, ...]:
        """What was asked for."""
        return tuple(
            RequestedSlot(network=slot.network, windows=slot.windows) for slot in self.slots
        )

    @property
    def granted(self) -> tuple[GrantedSlot, ...]:
        """What the pod is told."""
        return tuple(slot.granted for slot in self.slots)

    def in_phase(self, phase: Phase) -> "Entry":
        """The same entry in another phase."""
        return replace(self, phase=phase)


def format_entries(entries: Mapping[str, Entry | None]) -> dict[str, str | None]:
    """By pod UID → what the store is to hold; None removes an entry."""
    return {_KEY + uid: None if one is None else _format(one) for uid, one in entries.items()}


def parse_entries(stored: Mapping[str, str]) -> dict[str, Entry]:
    """All entries in the store, by pod UID. Raises ``UnavailableError`` for a damaged one."""
    found = {}
    for key, text in stored.items():
        if not key.startswith(_KEY):
            continue
        uid = key.removeprefix(_KEY)
        try:
            found[uid] = _parse(text, uid)
        except (InvalidInputError, ValueError) as error:
            raise UnavailableError(f"the store's entry of pod {uid} is damaged: {error}") from error
    return found


def _format(entry: Entry) -> str:
    return format_json(
        {
            "pod": pod_json(entry.pod),
            "attempt": entry.attempt,
            "phase": entry.phase.value,
            "confirmed": entry.confirmed,
            "bound": entry.bound,
            "slots": [_slot_json(slot) for slot in entry.slots],
        }
    )


def _parse(text: str, uid: str) -> Entry:
    whole = read_json(text, source="store", error=InvalidInputError, at_most=_MAX_ENTRY)
    field = whole.fields(("pod", "attempt", "phase", "confirmed", "bound", "slots"))
    return Entry(
        pod=read_pod(field["pod"], uid),
        attempt=str(field["attempt"].value),
        phase=field["phase"].member_of(Phase),
        confirmed=field["confirmed"].boolean(),
        bound=field["bound"].boolean(),
        slots=tuple(
            _read_slot(place) for place in field["slots"].items(at_least=1, at_most=MAX_SLOTS)
        ),
    )


def _slot_json(slot: HeldSlot) -> dict[str, object]:
    return {
        "network": slot.network,
        "interface": slot.interface,
        "back_end": slot.back_end.value,
        "windows": [window_json(one) for one in slot.windows],
        "kind": slot.channel.kind.value,
        "numbers": list(slot.channel.numbers),
    }


def _read_slot(place: Json) -> HeldSlot:
    field = place.fields(("network", "interface", "back_end", "windows", "kind", "numbers"))
    windows = field["windows"].items(at_least=1, at_most=MAX_WINDOWS)
    numbers = [
        one.integer(0, MAX_CHANNEL)
        for one in field["numbers"].items(at_least=1, at_most=MAX_WINDOWS)
    ]
    return HeldSlot(
        network=read_network(field["network"]),
        interface=read_interface(field["interface"]),
        back_end=field["back_end"].member_of(BackEndName),
        windows=tuple(read_window(one) for one in windows),
        channel=Channel(
            number=numbers[0],
            kind=field["kind"].member_of(ChannelKind),
            joined=tuple(numbers[1:]),
        ),
    )
