"""Reservations of a Network's status, as JSON and as values."""

from collections.abc import Iterable, Mapping

from k40s.ledger.entry_json import (
    MOST_ENTRIES,
    NAME,
    NAME_FORM,
    OPTIONAL,
    REQUIRED,
    entry_json,
    read_entry,
)
from k40s.network.model import NetworkReservation, Path
from k40s.network.text import (
    PEER,
    PEER_FORM,
    checked,
    format_bit_rate,
    format_size,
    read_bit_rate,
    read_moment,
    read_size,
)
from k40s.strict_json import Json
from k40s.tdma.model import SlotGrant, Window
from k40s.units import format_duration

MOST_WINDOWS = 1024
"""Of one slot grant."""
MOST_OF_A_POD = 16
"""Grants of one pod on one network."""
_LONGEST_PHASING = 1 << 31
_MOST_VERTICES = 1024


def format_reservations(reservations: Iterable[NetworkReservation]) -> list[dict[str, object]]:
    """The JSON of ``status.reservations``; ``read_reservations`` gives back the same values."""
    return [_reservation_json(one) for one in reservations]


Known = Mapping[tuple[str, str], tuple[object, NetworkReservation]]
"""By the pod's UID and the node: the JSON of a reservation that was read before, and its value."""


def read_reservations(place: Json, known: Known | None = None) -> tuple[NetworkReservation, ...]:
    """The reservations of a status, each pod once on a node. Raises the place's error.

    A pod has two, on two nodes, where it is unknown whether it was bound to the first.
    What is ``known`` and has not changed is not read again.
    """
    read: dict[tuple[str, str], NetworkReservation] = {}
    for item in place.items(at_most=MOST_ENTRIES):
        one = _recall(item.value, known) if known else None
        if one is None:
            one = _read_reservation(item)
        key = (one.owner.uid, one.node)
        if key in read:
            raise item.members()["pod"].invalid(
                "each pod once on a node", found=f"{one.owner.uid} again"
            )
        read[key] = one
    return tuple(read.values())


def _recall(item: object, known: Known) -> NetworkReservation | None:
    if not isinstance(item, dict):
        return None
    pod, node = item.get("pod"), item.get("node")
    uid = pod.get("uid") if isinstance(pod, dict) else None
    found = known.get((uid, node)) if isinstance(uid, str) and isinstance(node, str) else None
    return found[1] if found is not None and found[0] == item else None


def _read_reservation(item: Json) -> NetworkReservation:
    field = item.fields(REQUIRED, ("slots", "paths", *OPTIONAL))
    slots = field["slots"].items(at_most=MOST_OF_A_POD) if "slots" in field else []
    paths = field["paths"].items(at_most=MOST_OF_A_POD) if "paths" in field else []
    entry = read_entry(field)
    return NetworkReservation(
        owner=entry.owner,
        node=entry.node,
        slots=tuple(map(_read_grant, slots)),
        paths=tuple(map(_read_path, paths)),
        attempt=entry.attempt,
        until=entry.until,
    )


def _read_grant(item: Json) -> SlotGrant:
    windows = item.fields(("windows",))["windows"].items(at_least=1, at_most=MOST_WINDOWS)
    return SlotGrant(windows=tuple(map(_read_window, windows)))


def _read_window(item: Json) -> Window:
    field = item.fields(("offset", "phase", "every", "length", "payload"))
    every = field["every"].integer(1, _LONGEST_PHASING)
    offset, length = read_moment(field["offset"]), field["length"].duration()
    phase, payload = field["phase"].integer(0, every - 1), read_size(field["payload"])
    return checked(
        item,
        lambda: Window(offset=offset, phase=phase, every=every, length=length, payload=payload),
    )


def _read_path(item: Json) -> Path:
    field = item.fields(("peer", "nodes"), ("bandwidth",))
    vertices = field["nodes"].items(at_least=1, at_most=_MOST_VERTICES)
    return Path(
        peer=field["peer"].text(PEER, PEER_FORM),
        nodes=tuple(one.text(NAME, NAME_FORM) for one in vertices),
        bandwidth=read_bit_rate(field["bandwidth"]) if "bandwidth" in field else 0,
    )


def _reservation_json(one: NetworkReservation) -> dict[str, object]:
    written = entry_json(one)
    if one.slots:
        written["slots"] = [{"windows": list(map(_window_json, g.windows))} for g in one.slots]
    if one.paths:
        written["paths"] = list(map(_path_json, one.paths))
    return written


def _window_json(window: Window) -> dict[str, object]:
    return {
        "offset": format_duration(window.offset),
        "phase": window.phase,
        "every": window.every,
        "length": format_duration(window.length),
        "payload": format_size(window.payload),
    }


def _path_json(path: Path) -> dict[str, object]:
    written: dict[str, object] = {"peer": path.peer, "nodes": list(path.nodes)}
    if path.bandwidth:
        written["bandwidth"] = format_bit_rate(path.bandwidth)
    return written
