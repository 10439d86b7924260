"""JSON of scarmiglione's HTTP API, to values and back (docs/http-api.md).

Whatever a body holds, reading gives a value or raises ``InvalidInputError``, never else.
"""

import re
from dataclasses import dataclass

from k40s.ledger.entry_json import NAME, NAME_FORM
from k40s.network.text import INTERFACE, INTERFACE_FORM
from k40s.node_api.bodies import PodRef, pod_json, read_body, read_pod, read_reason
from k40s.reasons import Reason
from k40s.strict_json import Json, format_json
from k40s.tdma.model import Window
from k40s.units import Nanoseconds, format_duration

MAX_SLOTS = 16
"""Slots of one pod, on all networks."""
MAX_WINDOWS = 256
"""Of one slot: joint slots that share a queue."""
MAX_EVERY = 1 << 20
"""Cycles until a slot comes again."""
MAX_PAYLOAD = 65_535
MAX_CHANNEL = 65_535
MAX_PRIORITY = 15
"""Of a socket on stock Linux: taprio knows 16."""
MAX_DETAIL = 2000

_BACK_END = re.compile(r"[a-z][a-z0-9-]{0,15}", re.ASCII)
_DETAIL = re.compile(rf"(?s:.{{0,{MAX_DETAIL}}})")
_NOTHING = format_duration(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedSlot:
    """One slot of a pod, as it stands in the Network's status. The first window is primary."""

    network: str
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotsRequest:
    """All slots that a pod is to have on this node."""

    pod: PodRef
    slots: tuple[RequestedSlot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedSlot:
    """How the pod reaches its slot on the node.

    Either ``channel`` (RTnet: the slot's id) or ``priority`` (taprio: ``SO_PRIORITY``) is set, or
    neither, where the back end keeps no slots.
    """

    network: str
    interface: str
    backend: str
    channel: int | None = None
    priority: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotsAnswer:
    """Whether the station has the pod's slots; ``granted`` is in the order of the request.

    ``reason`` is set exactly when it has not; ``detail`` says more in words.
    """

    schedulable: bool
    reason: Reason | None = None
    detail: str = ""
    granted: tuple[GrantedSlot, ...] = ()

    def __post_init__(self) -> None:
        if self.schedulable != (self.reason is None):
            raise ValueError("a reason is given exactly when the slots are not set up")


def format_slots_request(request: SlotsRequest) -> bytes:
    """Write the body of ``PUT /v1/slots/{pod_uid}``."""
    slots = [
        {"network": slot.network, "windows": [window_json(one) for one in slot.windows]}
        for slot in request.slots
    ]
    return format_json({"pod": pod_json(request.pod), "slots": slots}).encode()


def parse_slots_request(body: bytes, *, pod_uid: str | None) -> SlotsRequest:
    """Read such a body; ``pod_uid`` is the one in the request's path, where there is one.

    Raises ``InvalidInputError``.
    """
    field = read_body(body, "request body").fields(("pod", "slots"))
    return SlotsRequest(
        pod=read_pod(field["pod"], pod_uid),
        slots=tuple(
            _read_slot(place) for place in field["slots"].items(at_least=1, at_most=MAX_SLOTS)
        ),
    )


def format_slots_answer(answer: SlotsAnswer) -> bytes:
    """Write the answer."""
    return format_json(
        {
            "schedulable": answer.schedulable,
            "reason": None if answer.reason is None else answer.reason.value,
            "detail": answer.detail[:MAX_DETAIL],
            "granted": [granted_json(one) for one in answer.granted],
        }
    ).encode()


def parse_slots_answer(body: bytes) -> SlotsAnswer:
    """Read such an answer. Raises ``InvalidInputError``."""
    field = read_body(body, "answer body").fields(("schedulable", "reason", "granted"), ("detail",))
    schedulable = field["schedulable"].boolean()
    reason = read_reason(field["reason"])
    if schedulable != (reason is None):
        raise field["reason"].invalid("null exactly when the slots are set up")
    expected = f"a text of at most {MAX_DETAIL} characters"
    return SlotsAnswer(
        schedulable=schedulable,
        reason=reason,
        detail=field["detail"].text(_DETAIL, expected) if "detail" in field else "",
        granted=tuple(read_granted(place) for place in field["granted"].items(at_most=MAX_SLOTS)),
    )


def window_json(window: Window) -> dict[str, object]:
    """A window as ``read_window`` reads it."""
    return {
        "offset": format_duration(window.offset),
        "phase": window.phase,
        "every": window.every,
        "length": format_duration(window.length),
        "payload": window.payload,
    }


def read_window(place: Json) -> Window:
    """Read a window: ``0 <= phase < every``. Whether it suits the network is not judged here."""
    field = place.fields(("offset", "phase", "every", "length", "payload"))
    every = field["every"].integer(1, MAX_EVERY)
    offset, length = _read_offset(field["offset"]), field["length"].duration()
    phase, payload = field["phase"].integer(0, every - 1), field["payload"].integer(1, MAX_PAYLOAD)
    try:
        return Window(offset=offset, phase=phase, every=every, length=length, payload=payload)
    except ValueError as error:
        raise place.invalid(f"a window: {error}") from None


def read_network(place: Json) -> str:
    """Read a network's name."""
    return place.text(NAME, NAME_FORM)


def read_interface(place: Json) -> str:
    """Read an interface's name."""
    return place.text(INTERFACE, INTERFACE_FORM)


def granted_json(granted: GrantedSlot) -> dict[str, object]:
    """A granted slot as ``read_granted`` reads it."""
    written: dict[str, object] = {
        "network": granted.network,
        "interface": granted.interface,
        "backend": granted.backend,
    }
    if granted.channel is not None:
        written["channel"] = granted.channel
    if granted.priority is not None:
        written["priority"] = granted.priority
    return written


def read_granted(place: Json) -> GrantedSlot:
    """Read a granted slot: a channel or a priority, not both."""
    field = place.fields(("network", "interface", "backend"), ("channel", "priority"))
    if "channel" in field and "priority" in field:
        raise place.invalid("a channel or a priority", found="both")
    return GrantedSlot(
        network=read_network(field["network"]),
        interface=read_interface(field["interface"]),
        backend=field["backend"].text(_BACK_END, "a back end's name"),
        channel=field["channel"].integer(0, MAX_CHANNEL) if "channel" in field else None,
        priority=field["priority"].integer(0, MAX_PRIORITY) if "priority" in field else None,
    )


def _read_slot(place: Json) -> RequestedSlot:
    field = place.fields(("network", "windows"))
    return RequestedSlot(
        network=read_network(field["network"]),
        windows=tuple(
            read_window(one) for one in field["windows"].items(at_least=1, at_most=MAX_WINDOWS)
        ),
    )


def _read_offset(place: Json) -> Nanoseconds:
    return Nanoseconds(0) if place.value == _NOTHING else place.duration()
