"""One station for each interface on a TDMA network, with the back end that serves it.

A station whose Network is gone stays while pods still hold slots on it: these are taken back
through the same back end, also after a restart. So its interface and cycle are in the store.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

from daemons.scarmiglione.network.back_end import BackEndName, Role, SlotBackEnd, StationState
from daemons.scarmiglione.station.networks import DeclaredNetworks, Membership
from k40s.errors import InvalidInputError, UnavailableError
from k40s.network.model import Tdma
from k40s.strict_json import Json, format_json, read_json
from k40s.tdma.model import Cycle
from k40s.units import Nanoseconds, format_duration, parse_duration

_KEY = "station/"
_MOST_BACKUPS = 64
_HIGHEST_RATE = 10**15
_LARGEST_MTU = 65_535


class StationStore(Protocol):
    """Durable key → text. Both methods raise ``UnavailableError``."""

    def entries(self) -> Mapping[str, str]:
        """All keys and texts."""
        ...

    def write(self, changes: Mapping[str, str | None]) -> None:
        """Put and (None) delete in one transaction that survives kill −9."""
        ...


class MakeBackEnd(Protocol):
    """Makes the back end of an interface: the best that the node has for it."""

    def __call__(self, *, interface: str, cycle: Cycle) -> SlotBackEnd:
        """It is cheap, reads what it needs from the kernel, and changes nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StationKey:
    """An interface on a network."""

    network: str
    interface: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """``role`` is what the Network says that it is; None when it is no longer a member."""

    key: StationKey
    cycle: Cycle
    back_end: SlotBackEnd
    role: Role | None


RTNET = frozenset({BackEndName.TDMACFG, BackEndName.IOCTL})
"""Back ends whose kernel knows a station's role; on others nobody sends Sync."""


def kernel_role(station: Station, state: StationState | None) -> Role | None:
    """The role that the kernel gives a station; None where it knows none."""
    return state.role if state is not None and station.back_end.name in RTNET else None


def role_of(tdma: Tdma, node: str) -> Role:
    """A member's role on its network."""
    if tdma.master == node:
        return Role.MASTER
    return Role.BACKUP if node in tdma.backup_masters else Role.STATION


class Stations:
    """Follows the Networks. Its methods are called under the book's lock."""

    def __init__(
        self, *, node: str, networks: DeclaredNetworks, make: MakeBackEnd, store: StationStore
    ) -> None:
        """Raises ``UnavailableError`` for a damaged store."""
        self._node = node
        self._networks = networks
        self._make = make
        self._store = store
        self._stations: dict[StationKey, Station] = {}
        self._stored = _parse_cycles(store.entries())
        for key, cycle in self._stored.items():
            self._keep(key, cycle, None)

    def refresh(self, held: AbstractSet[StationKey]) -> None:
        """Take over the Networks; ``held`` are stations on which pods hold slots.

        Raises ``UnavailableError`` when the store cannot be written.
        """
        declared: set[StationKey] = set()
        for membership in self._networks.memberships():
            key, tdma = _key(membership), membership.network.tdma
            if tdma is not None:
                declared.add(key)
                self._keep(key, tdma.cycle, role_of(tdma, self._node))
        for key in [key for key in self._stations if key not in declared]:
            if key in held or self._is_unknown(key):
                self._keep(key, self._stations[key].cycle, None)
            else:
                del self._stations[key]
        self._remember()

    def all(self) -> tuple[Station, ...]:
        """All stations, by network."""
        return tuple(self._stations[key] for key in sorted(self._stations, key=_order))

    def declared(self) -> tuple[Station, ...]:
        """Those on networks that the node is a member of."""
        return tuple(station for station in self.all() if station.role is not None)

    def on(self, network: str) -> Station | None:
        """The station of a network that the node is a member of."""
        return next((one for one in self.declared() if one.key.network == network), None)

    def find(self, key: StationKey) -> Station | None:
        """A station, also one whose Network is gone."""
        return self._stations.get(key)

    def _is_unknown(self, key: StationKey) -> bool:
        """Whether the Network exists, and cannot be read at present."""
        state = self._networks.find(key.network)
        return state is not None and state.fault is not None

    def _keep(self, key: StationKey, cycle: Cycle, role: Role | None) -> None:
        known = self._stations.get(key)
        if known is not None and known.cycle == cycle:
            back_end = known.back_end
        else:
            back_end = self._make(interface=key.interface, cycle=cycle)
        self._stations[key] = Station(key=key, cycle=cycle, back_end=back_end, role=role)

    def _remember(self) -> None:
        wanted = {key: station.cycle for key, station in self._stations.items()}
        if wanted == self._stored:
            return
        changes: dict[str, str | None] = {
            _name(key): None for key in self._stored if key not in wanted
        }
        changes |= {_name(key): _format_cycle(cycle) for key, cycle in wanted.items()}
        self._store.write(changes)
        self._stored = wanted


def _key(membership: Membership) -> StationKey:
    return StationKey(network=membership.network.name, interface=membership.interface)


def _order(key: StationKey) -> tuple[str, str]:
    return key.network, key.interface


def _name(key: StationKey) -> str:
    return f"{_KEY}{key.network}/{key.interface}"


def _format_cycle(cycle: Cycle) -> str:
    return format_json(
        {
            "period": format_duration(cycle.period),
            "bit_rate": cycle.bit_rate,
            "mtu": cycle.mtu,
            "guard": format_duration(cycle.guard),
            "sync_lateness": format_duration(cycle.sync_lateness),
            "backup_offsets": [format_duration(one) for one in cycle.backup_offsets],
        }
    )


def _parse_cycles(stored: Mapping[str, str]) -> dict[StationKey, Cycle]:
    found: dict[StationKey, Cycle] = {}
    for name, text in stored.items():
        if not name.startswith(_KEY):
            continue
        network, _, interface = name.removeprefix(_KEY).partition("/")
        try:
            cycle = _read_cycle(read_json(text, source=name, error=InvalidInputError))
        except (InvalidInputError, ValueError) as error:
            raise UnavailableError(f"the store's {name} is damaged: {error}") from error
        found[StationKey(network=network, interface=interface)] = cycle
    return found


def _read_cycle(whole: Json) -> Cycle:
    field = whole.fields(("period", "bit_rate", "mtu", "guard", "sync_lateness", "backup_offsets"))
    return Cycle(
        period=field["period"].duration(),
        bit_rate=field["bit_rate"].integer(1, _HIGHEST_RATE),
        mtu=field["mtu"].integer(1, _LARGEST_MTU),
        guard=_duration(field["guard"]),
        sync_lateness=_duration(field["sync_lateness"]),
        backup_offsets=tuple(
            _duration(one) for one in field["backup_offsets"].items(at_most=_MOST_BACKUPS)
        ),
    )


def _duration(place: Json) -> Nanoseconds:
    return parse_duration(str(place.value))
