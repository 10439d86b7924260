"""What a pod requires of networks, and what it was granted of them."""

from dataclasses import dataclass

from k40s.annotations.keys import NETWORK_GRANT_KEY, NETWORK_KEY
from k40s.annotations.network_state import MOST_CHANNELS, BackEnd
from k40s.errors import InvalidAnnotationError
from k40s.ledger.entry_json import NAME, NAME_FORM
from k40s.network.model import Path, PathRequirement, Requirement, SlotRequirement
from k40s.network.text import (
    INTERFACE,
    INTERFACE_FORM,
    PEER,
    PEER_FORM,
    format_bit_rate,
    format_size,
    read_bit_rate,
    read_moment,
    read_size,
)
from k40s.strict_json import Json, format_json, read_json
from k40s.tdma.model import SlotRequest
from k40s.units import NS_PER_S, Nanoseconds, format_duration

MAX_NETWORK_TEXT = 8 * 1024
"""Longest annotation with requirements, in characters."""
MAX_GRANT_TEXT = 32 * 1024
MOST_REQUIREMENTS = 16
"""Of a pod."""
MOST_JOINT_SLOTS = 64
"""Of one requirement."""
LONGEST_PERIOD = Nanoseconds(3600 * NS_PER_S)
HIGHEST_PRIORITY = 15
"""Linux maps so many socket priorities to classes of traffic."""
_LONGEST_PHASING = 1 << 31
_MOST_VERTICES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedWindow:
    """One slot as its sender needs it: ``phasing`` counts from 1, as RTnet's tools do."""

    offset: Nanoseconds
    phasing: int
    every: int
    payload: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedSlots:
    """The slots of one requirement, and how to send in them.

    On RTnet the ``channel`` of the primary slot; on Linux the socket's ``priority``; neither where
    the back end needs none.
    """

    network: str
    interface: str
    back_end: BackEnd
    slots: tuple[GrantedWindow, ...]
    channel: int | None = None
    priority: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedPath:
    """A path to one peer with its bandwidth in bit/s; 0 where none was asked for."""

    network: str
    path: Path


NetworkGrant = GrantedSlots | GrantedPath


def parse_network_requirements(text: str) -> tuple[Requirement, ...]:
    """Read the annotation ``k40s.io/network``. Raises ``InvalidAnnotationError``."""
    whole = read_json(
        text, source=NETWORK_KEY, error=InvalidAnnotationError, at_most=MAX_NETWORK_TEXT
    )
    requirements: list[Requirement] = []
    peers: set[tuple[str, str]] = set()
    for item in whole.items(at_least=1, at_most=MOST_REQUIREMENTS):
        one = _read_requirement(item)
        if isinstance(one, PathRequirement):
            if (one.network, one.peer) in peers:
                raise item.members()["peer"].invalid("each peer once on a network")
            peers.add((one.network, one.peer))
        requirements.append(one)
    return tuple(requirements)


def format_network_requirements(requirements: tuple[Requirement, ...]) -> str:
    """Write the annotation; ``parse_network_requirements`` gives back the same value."""
    return format_json([_requirement_json(one) for one in requirements])


def parse_network_grants(text: str) -> tuple[NetworkGrant, ...]:
    """Read the annotation ``status.k40s.io/network``. Raises ``InvalidAnnotationError``."""
    whole = read_json(
        text, source=NETWORK_GRANT_KEY, error=InvalidAnnotationError, at_most=MAX_GRANT_TEXT
    )
    return tuple(map(_read_grant, whole.items(at_most=MOST_REQUIREMENTS)))


def format_network_grants(grants: tuple[NetworkGrant, ...]) -> str:
    """Write the annotation; ``parse_network_grants`` gives back the same value."""
    return format_json([_grant_json(one) for one in grants])


def _read_requirement(item: Json) -> Requirement:
    members = item.members()
    if ("slot" in members) == ("peer" in members):
        found = "both" if "slot" in members else "neither"
        raise item.invalid("one of the fields slot and peer", found=f"{found} of them")
    if "slot" in members:
        field = item.fields(("network", "slot"))
        return SlotRequirement(
            network=field["network"].text(NAME, NAME_FORM), request=_read_request(field["slot"])
        )
    field = item.fields(("network", "peer"), ("delay", "bandwidth"))
    if len(field) == len(("network", "peer")):
        raise item.invalid("a delay, a bandwidth or both", found="neither of them")
    return PathRequirement(
        network=field["network"].text(NAME, NAME_FORM),
        peer=field["peer"].text(PEER, PEER_FORM),
        delay=_read_period(field["delay"]) if "delay" in field else None,
        bandwidth=read_bit_rate(field["bandwidth"]) if "bandwidth" in field else None,
    )


def _read_request(place: Json) -> SlotRequest:
    field = place.fields(("period",), ("length", "payload"))
    if ("length" in field) == ("payload" in field):
        found = "both" if "length" in field else "neither"
        raise place.invalid("one of the fields length and payload", found=f"{found} of them")
    period = _read_period(field["period"])
    length = _read_period(field["length"]) if "length" in field else None
    if length is not None and length > period:
        raise field["length"].invalid(f"at most the period, {format_duration(period)}")
    payload = read_size(field["payload"]) if "payload" in field else None
    return SlotRequest(period=period, length=length, payload=payload)


def _read_period(place: Json) -> Nanoseconds:
    value = place.duration()
    if value > LONGEST_PERIOD:
        raise place.invalid(f"at most {format_duration(LONGEST_PERIOD)}")
    return value


def _requirement_json(one: Requirement) -> dict[str, object]:
    if isinstance(one, SlotRequirement):
        slot: dict[str, object] = {"period": format_duration(one.request.period)}
        if one.request.length is not None:
            slot["length"] = format_duration(one.request.length)
        if one.request.payload is not None:
            slot["payload"] = format_size(one.request.payload)
        return {"network": one.network, "slot": slot}
    written: dict[str, object] = {"network": one.network, "peer": one.peer}
    if one.delay is not None:
        written["delay"] = format_duration(one.delay)
    if one.bandwidth is not None:
        written["bandwidth"] = format_bit_rate(one.bandwidth)
    return written


def _read_grant(item: Json) -> NetworkGrant:
    if "peer" in item.members():
        field = item.fields(("network", "peer", "path"), ("bandwidth",))
        vertices = field["path"].items(at_least=1, at_most=_MOST_VERTICES)
        return GrantedPath(
            network=field["network"].text(NAME, NAME_FORM),
            path=Path(
                peer=field["peer"].text(PEER, PEER_FORM),
                nodes=tuple(one.text(NAME, NAME_FORM) for one in vertices),
                bandwidth=read_bit_rate(field["bandwidth"]) if "bandwidth" in field else 0,
            ),
        )
    field = item.fields(("network", "interface", "backend", "slots"), ("channel", "priority"))
    if "channel" in field and "priority" in field:
        raise item.invalid("one of the fields channel and priority", found="both of them")
    slots = field["slots"].items(at_least=1, at_most=MOST_JOINT_SLOTS)
    return GrantedSlots(
        network=field["network"].text(NAME, NAME_FORM),
        interface=field["interface"].text(INTERFACE, INTERFACE_FORM),
        back_end=field["backend"].member_of(BackEnd),
        slots=tuple(map(_read_window, slots)),
        channel=field["channel"].integer(0, MOST_CHANNELS) if "channel" in field else None,
        priority=field["priority"].integer(0, HIGHEST_PRIORITY) if "priority" in field else None,
    )


def _read_window(place: Json) -> GrantedWindow:
    field = place.fields(("offset", "phasing", "every", "payload"))
    every = field["every"].integer(1, _LONGEST_PHASING)
    return GrantedWindow(
        offset=read_moment(field["offset"]),
        phasing=field["phasing"].integer(1, every),
        every=every,
        payload=read_size(field["payload"]),
    )


def _grant_json(one: NetworkGrant) -> dict[str, object]:
    if isinstance(one, GrantedPath):
        written: dict[str, object] = {
            "network": one.network,
            "peer": one.path.peer,
            "path": list(one.path.nodes),
        }
        if one.path.bandwidth:
            written["bandwidth"] = format_bit_rate(one.path.bandwidth)
        return written
    written = {
        "network": one.network,
        "interface": one.interface,
        "backend": one.back_end.value,
        "slots": [
            {
                "offset": format_duration(slot.offset),
                "phasing": slot.phasing,
                "every": slot.every,
                "payload": format_size(slot.payload),
            }
            for slot in one.slots
        ],
    }
    if one.channel is not None:
        written["channel"] = one.channel
    if one.priority is not None:
        written["priority"] = one.priority
    return written
