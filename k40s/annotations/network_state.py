"""A node's networks as scarmiglione publishes them: its stations, their back ends and health."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from k40s.annotations.keys import NETWORK_STATE_KEY
from k40s.annotations.node_assurance import MAX_LEASE, MIN_LEASE
from k40s.errors import InvalidAnnotationError
from k40s.ledger.entry_json import NAME
from k40s.network import conditions
from k40s.network.text import INTERFACE, INTERFACE_FORM
from k40s.strict_json import Json, format_json, read_json
from k40s.units import Nanoseconds, format_duration

MAX_NETWORK_STATE = 1024
"""Longest annotation, in bytes."""
HEALTHY = conditions.HEALTHY
"""The published ``health`` of a station without a fault."""
MOST_CHANNELS = 65_535

_VERSION = 1
MOST_NETWORKS = 16
_ENDPOINT = re.compile(
    r"https://(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}", re.ASCII
)
_HELD = re.compile(r"[0-9a-f]{8}", re.ASCII)
_HEALTH = re.compile(r"[a-z][a-z0-9.-]{0,39}", re.ASCII)
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{6})?Z", re.ASCII
)


class BackEnd(StrEnum):
    """What applies slots on a station."""

    TDMACFG = "tdmacfg"
    IOCTL = "ioctl"
    TAPRIO = "taprio"
    NONE = "none"
    """Nothing keeps a pod to its slots. Where the operator names this back end they are written
    down; elsewhere such a station has no channels."""


class Role(StrEnum):
    """A station's part on its network."""

    MASTER = "master"
    BACKUP = "backup"
    STATION = "station"


@dataclass(frozen=True, slots=True, kw_only=True)
class StationState:
    """A node's station on one network.

    ``health`` is ``HEALTHY`` or the code of a fault; ``channels`` counts those that are free.
    ``held`` is the digest of the slots that were read back (``k40s.network.held``), None where
    nothing could be read.
    """

    interface: str
    back_end: BackEnd
    role: Role = Role.STATION
    health: str = HEALTHY
    channels: int = 0
    held: str | None = None

    def __post_init__(self) -> None:
        if INTERFACE.fullmatch(self.interface) is None:
            raise ValueError(f"an interface is {INTERFACE_FORM}")
        if _HEALTH.fullmatch(self.health) is None:
            raise ValueError("health is a code in lower case")
        if self.held is not None and _HELD.fullmatch(self.held) is None:
            raise ValueError("a digest is 8 hexadecimal digits")
        if not 0 <= self.channels <= MOST_CHANNELS:
            raise ValueError(f"free channels are counted from 0 to {MOST_CHANNELS}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkNodeState:
    """The stations of a node by the name of their network, and where its daemon answers.

    ``observed`` is in UTC; the state is void when the daemon's Lease is not renewed for ``lease``.
    """

    endpoint: str
    lease: Nanoseconds
    observed: datetime
    networks: Mapping[str, StationState]

    def __post_init__(self) -> None:
        if _ENDPOINT.fullmatch(self.endpoint) is None:
            raise ValueError("an endpoint is https://host:port")
        if not MIN_LEASE <= self.lease <= MAX_LEASE:
            raise ValueError("a lease lasts 1 s to 3600 s")
        if self.observed.utcoffset() != timedelta(0):
            raise ValueError("the time observed is in UTC")
        if len(self.networks) > MOST_NETWORKS or not all(map(NAME.fullmatch, self.networks)):
            raise ValueError(f"a node is on at most {MOST_NETWORKS} networks, by their names")


def parse_network_state(text: str) -> NetworkNodeState:
    """Read the annotation ``node.k40s.io/network-state``. Raises ``InvalidAnnotationError``."""
    whole = read_json(
        text, source=NETWORK_STATE_KEY, error=InvalidAnnotationError, at_most=MAX_NETWORK_STATE
    )
    field = whole.fields(("v", "endpoint", "lease", "observed", "networks"))
    field["v"].integer(_VERSION, _VERSION)
    lease = field["lease"].duration()
    if not MIN_LEASE <= lease <= MAX_LEASE:
        raise field["lease"].invalid("1s to 3600s")
    return NetworkNodeState(
        endpoint=field["endpoint"].text(_ENDPOINT, 'an address such as "https://10.0.0.1:9443"'),
        lease=lease,
        observed=_read_time(field["observed"]),
        networks=_read_networks(field["networks"]),
    )


def format_network_state(value: NetworkNodeState) -> str:
    """Write the annotation; ``parse_network_state`` gives back the same value.

    Raises ``ValueError`` when it would be longer than 1024 bytes.
    """
    text = format_json(
        {
            "v": _VERSION,
            "endpoint": value.endpoint,
            "lease": format_duration(value.lease),
            "observed": value.observed.replace(tzinfo=None).isoformat() + "Z",
            "networks": {
                name: {
                    "interface": one.interface,
                    "backend": one.back_end.value,
                    "role": one.role.value,
                    "health": one.health,
                    "channels": one.channels,
                    **({} if one.held is None else {"held": one.held}),
                }
                for name, one in sorted(value.networks.items())
            },
        }
    )
    if len(text) > MAX_NETWORK_STATE:
        raise ValueError(f"the state of the node's networks exceeds {MAX_NETWORK_STATE} bytes")
    return text


def _read_networks(place: Json) -> Mapping[str, StationState]:
    members = place.members()
    if len(members) > MOST_NETWORKS:
        raise place.invalid(f"at most {MOST_NETWORKS} networks")
    for name, member in members.items():
        if NAME.fullmatch(name) is None:
            raise member.invalid("under a Network's name", found="another name")
    return MappingProxyType({name: _read_station(one) for name, one in members.items()})


def _read_station(place: Json) -> StationState:
    field = place.fields(("interface", "backend", "role", "health", "channels"), ("held",))
    return StationState(
        interface=field["interface"].text(INTERFACE, INTERFACE_FORM),
        back_end=field["backend"].member_of(BackEnd),
        role=field["role"].member_of(Role),
        health=field["health"].text(_HEALTH, 'a code in lower case, such as "ok"'),
        channels=field["channels"].integer(0, MOST_CHANNELS),
        held=field["held"].text(_HELD, "8 hexadecimal digits") if "held" in field else None,
    )


def _read_time(place: Json) -> datetime:
    expected = 'a time in UTC, such as "2026-03-01T12:00:00Z"'
    text = place.text(_TIME, expected)
    try:
        return datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC)
    except ValueError:
        raise place.invalid(expected) from None
