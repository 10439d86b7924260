"""Network objects of the API server -> values.

Whatever an object holds becomes a ``NetworkState``: one that cannot be used has a ``fault``, which
names the field, what was found there and what would be right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from k40s.errors import InvalidInputError
from k40s.ledger.entry_json import NAME, NAME_FORM
from k40s.network.model import Link, Member, Network, NetworkReservation, NetworkState, Tdma
from k40s.network.reservations import Known, read_reservations
from k40s.network.text import INTERFACE, INTERFACE_FORM, checked, read_bit_rate, read_moment
from k40s.strict_json import Json
from k40s.tdma.conflict import outside
from k40s.tdma.model import LARGEST_MTU, SMALLEST_PAYLOAD, Cycle
from k40s.units import Nanoseconds, format_duration

Nodes = Mapping[str, Member]

MOST_MEMBERS = 1024
MOST_LINKS = 4096
MOST_DELAYS = 16_384
MOST_BACKUPS = 8
_MOST_KEPT = 64
"""Networks whose last version is kept by a reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Former:
    """An earlier version of a Network: its object, and what was read of it."""

    item: Mapping[str, object]
    state: NetworkState

    def network(self, item: Mapping[str, object], generation: int) -> Network | None:
        """The spec's value, if the spec is the same."""
        network = self.state.network
        same = self.item.get("spec") == item.get("spec") and network.generation == generation
        return network if same and network.members else None

    def reservations(self) -> Known:
        """The reservations that were read."""
        status = self.item.get("status")
        items = status.get("reservations") if isinstance(status, dict) else None
        if self.state.fault is not None or not isinstance(items, list):
            return {}
        pairs = zip(items, self.state.reservations, strict=True)
        return {(one.owner.uid, one.node): (item, one) for item, one in pairs}


class NetworkReader:
    """Reads versions of Networks one after the other, of each only what has changed.

    A Network with many reservations is written at every bind. Not for several threads at once.
    """

    def __init__(self) -> None:
        self._former: dict[str, Former] = {}

    def read(self, item: Mapping[str, object]) -> NetworkState:
        """The same as ``parse_network``."""
        meta = item.get("metadata")
        name = str(meta.get("name", "")) if isinstance(meta, dict) else ""
        state = parse_network(item, former=self._former.pop(name, None))
        self._former[name] = Former(item=item, state=state)
        if len(self._former) > _MOST_KEPT:
            del self._former[next(iter(self._former))]
        return state


def parse_network(item: Mapping[str, object], *, former: Former | None = None) -> NetworkState:
    """Read an object of kind Network that has its name. Never raises for what it holds."""
    meta = item.get("metadata")
    known: Mapping[str, object] = meta if isinstance(meta, dict) else {}
    name, version = str(known.get("name", "")), known.get("resourceVersion")
    found = known.get("generation")
    generation = found if isinstance(found, int) else 0
    network = Network(name=name, members=())
    reservations: tuple[NetworkReservation, ...] = ()
    measured: Mapping[tuple[str, str], Nanoseconds] = {}
    fault: str | None = None
    try:
        spec = Json(value=item.get("spec"), source="Network", error=InvalidInputError, path="spec")
        same = former.network(item, generation) if former is not None else None
        network = same or read_spec(spec, name=name, generation=generation)
        measured, reservations = _read_status(item.get("status"), network, former)
    except InvalidInputError as error:
        fault = f"{error.path}: found {error.found}, expected {error.expected}"
    return NetworkState(
        network=network,
        reservations=reservations,
        measured=measured,
        resource_version=version if isinstance(version, str) else "",
        fault=fault,
    )


def read_spec(spec: Json, *, name: str, generation: int = 0) -> Network:
    """Read the spec of a Network. Raises the place's error."""
    field = spec.fields(("members",), ("tdma", "links", "delays"))
    best_effort = "links" in field or "delays" in field
    if ("tdma" in field) == best_effort:
        found = "both" if best_effort else "neither"
        raise spec.invalid("either tdma, or links and delays", found=found)
    members = _read_members(field["members"])
    nodes = {member.node: member for member in members}
    links = _read_links(field["links"], nodes) if "links" in field else ()
    delays = _read_delays(field["delays"], nodes) if "delays" in field else {}
    if "delays" in field and not links:
        _check_complete(field["delays"], nodes, delays)
    return Network(
        name=name,
        members=members,
        tdma=_read_tdma(field["tdma"], nodes) if "tdma" in field else None,
        links=links,
        delays=delays,
        generation=generation,
    )


def _read_members(place: Json) -> tuple[Member, ...]:
    members: dict[str, Member] = {}
    for item in place.items(at_least=1, at_most=MOST_MEMBERS):
        field = item.fields(("node", "interface"), ("jitter",))
        node = field["node"].text(NAME, NAME_FORM)
        if node in members:
            raise field["node"].invalid("each node once")
        members[node] = Member(
            node=node,
            interface=field["interface"].text(INTERFACE, INTERFACE_FORM),
            jitter=read_moment(field["jitter"]) if "jitter" in field else Nanoseconds(0),
        )
    return tuple(members.values())


def _read_tdma(place: Json, nodes: Nodes) -> Tdma:
    field = place.fields(
        ("cycle", "guard", "bitRate", "master"), ("mtu", "syncLateness", "backupMasters")
    )
    master = _read_member(field["master"], nodes)
    backups = _read_backups(field["backupMasters"], nodes) if "backupMasters" in field else {}
    if master in backups:
        raise field["backupMasters"].invalid("other nodes than the master", found=repr(master))
    period, guard = field["cycle"].duration(), read_moment(field["guard"])
    bit_rate = read_bit_rate(field["bitRate"])
    mtu = field["mtu"].integer(SMALLEST_PAYLOAD, LARGEST_MTU) if "mtu" in field else LARGEST_MTU
    lateness = read_moment(field["syncLateness"]) if "syncLateness" in field else Nanoseconds(0)
    cycle = checked(
        place,
        lambda: Cycle(
            period=period,
            bit_rate=bit_rate,
            mtu=mtu,
            guard=guard,
            sync_lateness=lateness,
            backup_offsets=tuple(sorted(backups.values())),
        ),
    )
    return Tdma(cycle=cycle, master=master, backup_masters=backups)


def _read_backups(place: Json, nodes: Nodes) -> Mapping[str, Nanoseconds]:
    backups: dict[str, Nanoseconds] = {}
    for item in place.items(at_most=MOST_BACKUPS):
        field = item.fields(("node", "offset"))
        node = _read_member(field["node"], nodes)
        if node in backups:
            raise field["node"].invalid("each node once")
        backups[node] = field["offset"].duration()
    return backups


def _read_links(place: Json, nodes: Nodes) -> tuple[Link, ...]:
    links: dict[frozenset[str], Link] = {}
    for item in place.items(at_least=1, at_most=MOST_LINKS):
        field = item.fields(("from", "to", "delay"), ("capacity",))
        ends = field["from"].text(NAME, NAME_FORM), field["to"].text(NAME, NAME_FORM)
        if ends[0] == ends[1]:
            raise field["to"].invalid("another end than from")
        if frozenset(ends) in links:
            raise item.invalid("one link between two ends", found="another one")
        links[frozenset(ends)] = Link(
            ends=ends,
            delay=read_moment(field["delay"]),
            capacity=read_bit_rate(field["capacity"]) if "capacity" in field else None,
        )
    linked = {end for pair in links for end in pair}
    for node in nodes:
        if node not in linked and len(nodes) > 1:
            raise place.invalid("a link at every member", found=f"none at {node!r}")
    return tuple(links.values())


def _read_delays(place: Json, nodes: Nodes) -> Mapping[tuple[str, str], Nanoseconds]:
    delays: dict[tuple[str, str], Nanoseconds] = {}
    for item in place.items(at_most=MOST_DELAYS):
        field = item.fields(("from", "to", "delay"))
        pair = _read_member(field["from"], nodes), _read_member(field["to"], nodes)
        if pair[0] == pair[1]:
            raise field["to"].invalid("another node than from")
        if pair in delays:
            raise item.invalid("each pair once", found=f"{pair[0]!r} to {pair[1]!r} again")
        delays[pair] = read_moment(field["delay"])
    return delays


def _check_complete(
    place: Json, nodes: Nodes, delays: Mapping[tuple[str, str], Nanoseconds]
) -> None:
    """A matrix alone, without links, has an entry for every pair in both directions."""
    if len(delays) == len(nodes) * (len(nodes) - 1):
        return
    missing = next((a, b) for a in nodes for b in nodes if a != b and (a, b) not in delays)
    raise place.invalid(
        "an entry for every pair of members in both directions, or links",
        found=f"none from {missing[0]!r} to {missing[1]!r}",
    )


def _read_status(
    status: object, network: Network, former: Former | None
) -> tuple[Mapping[tuple[str, str], Nanoseconds], tuple[NetworkReservation, ...]]:
    place = Json(value=status or {}, source="Network", error=InvalidInputError, path="status")
    field = place.members()
    nodes = {member.node: member for member in network.members}
    measured: Mapping[tuple[str, str], Nanoseconds] = {}
    if "measuredDelays" in field:
        measured = _read_delays(field["measuredDelays"], nodes)
    if "reservations" not in field:
        return measured, ()
    known = former.reservations() if former is not None else None
    reservations = read_reservations(field["reservations"], known)
    if network.tdma is not None:
        _check_windows(field["reservations"], reservations, network.tdma.cycle)
    return measured, reservations


def _check_windows(place: Json, reservations: Sequence[NetworkReservation], cycle: Cycle) -> None:
    """A slot beyond the end of the cycle would delay every Sync."""
    for one in reservations:
        for grant in one.slots:
            for window in grant.windows:
                if outside(window, cycle):
                    raise place.invalid(
                        f"slots within the cycle of {format_duration(cycle.period)}",
                        found=f"one of pod {one.owner.namespace}/{one.owner.name} beyond it",
                    )


def _read_member(place: Json, nodes: Nodes) -> str:
    name = place.text(NAME, NAME_FORM)
    if name not in nodes:
        raise place.invalid("a node among the members")
    return name
