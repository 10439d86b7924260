"""Messages of rtnetlink about queueing disciplines, ``taprio`` in particular. Pure.

Layouts as in Linux' ``rtnetlink.h`` and ``pkt_sched.h``, in the machine's byte order. ``tc`` of
iproute2 is not used: it cuts a schedule after 1 KiB, which is 23 entries, and its JSON is malformed
while a schedule is pending.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from daemons.scarmiglione.network.taprio.changeover import Timetable
from daemons.scarmiglione.network.taprio.gate_schedule import Entry, GateSchedule
from k40s.errors import KernelError
from k40s.units import Nanoseconds

NEW_QDISC, DELETE_QDISC, GET_QDISC = 36, 37, 38
NOOP, ERROR, DONE = 1, 2, 3
ROOT = 0xFFFFFFFF
PRIORITIES = 16
CLOCK_TAI = 11

_REQUEST, _ACK, _DUMP, _REPLACE, _CREATE = 0x1, 0x4, 0x300, 0x100, 0x400
_CAPPED, _ACK_ATTRIBUTES = 0x100, 0x200
_NLMSG = struct.Struct("=IHHII")
_TCMSG = struct.Struct("=BxxxiIII")
_ATTRIBUTE = struct.Struct("=HH")
_MAPPING = struct.Struct("=B16sB16H16H")
_KIND, _OPTIONS = 1, 2
_MAP, _LIST, _BASE, _CLOCK, _ADMIN, _CYCLE, _FLAGS = 1, 2, 3, 5, 7, 8, 10
_ENTRY, _INDEX, _COMMAND, _GATES, _INTERVAL = 1, 1, 2, 3, 4
_NESTED = 0x8000
_HOLD, _RELEASE = 0, 2
"""Actions of ``plug``: buffer, release indefinitely."""
_PLUG_BYTES = 1 << 22
_PLUGS = 0x1000 << 16
"""From the handle of a queue's ``prio`` to that of its ``plug``."""
_BANDS = 2
"""Of a ``prio``, at least; all priorities are in the first."""
_TYPE = 0x3FFF
_MESSAGE = 1
"""Attribute of an acknowledgement: the kernel's text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """Which class each of the 16 priorities is, and the (count, offset) of each class's queues."""

    classes: tuple[int, ...]
    queues: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taprio:
    """A device's ``taprio``. ``running`` is None until the first begins; ``pending`` replaces it.

    No kernel changes ``mapping``, ``clock`` or ``flags`` of one that is there.
    """

    mapping: Mapping
    clock: int
    flags: int
    running: Timetable | None
    pending: Timetable | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Qdisc:
    """The root queueing discipline of a device."""

    kind: str
    handle: int
    taprio: Taprio | None = None


def replace_request(index: int, *, handle: int, mapping: Mapping, timetable: Timetable) -> bytes:
    """Set the root of device ``index`` to ``taprio`` with this schedule, in software."""
    padding = (0,) * (PRIORITIES - len(mapping.queues))
    counts, offsets = zip(*mapping.queues, strict=True)
    packed = _MAPPING.pack(
        *(len(mapping.queues), bytes(mapping.classes), 0), *counts, *padding, *offsets, *padding
    )
    entries = b"".join(
        _nest(
            _ENTRY,
            _attribute(_INDEX, struct.pack("=I", number)),
            _attribute(_COMMAND, b"\0"),
            _attribute(_GATES, struct.pack("=I", entry.gates)),
            _attribute(_INTERVAL, struct.pack("=I", entry.interval)),
        )
        for number, entry in enumerate(timetable.schedule.entries)
    )
    options = _nest(
        _OPTIONS,
        _attribute(_FLAGS, struct.pack("=I", 0)),
        _attribute(_CLOCK, struct.pack("=i", CLOCK_TAI)),
        _attribute(_MAP, packed),
        _attribute(_BASE, struct.pack("=q", timetable.base)),
        _attribute(_CYCLE, struct.pack("=q", timetable.schedule.period)),
        _nest(_LIST, entries),
    )
    body = _TCMSG.pack(0, index, handle, ROOT, 0) + _attribute(_KIND, b"taprio\0") + options
    return _message(NEW_QDISC, _REQUEST | _ACK | _REPLACE | _CREATE, body)


def delete_request(index: int, *, handle: int) -> bytes:
    """Remove the root with this handle; the kernel's default takes its place."""
    return _message(DELETE_QDISC, _REQUEST | _ACK, _TCMSG.pack(0, index, handle, ROOT, 0))


def band_request(index: int, *, handle: int, queue: int) -> bytes:
    """Put a ``prio`` with one band that is used between a queue and its ``plug``.

    ``plug`` keeps a packet that was looked at for whoever takes it next. ``taprio`` does not take
    it, and the first packet of a queue would stay for ever; ``prio`` does. To make one drops what
    waits on the device, and stops its schedule.
    """
    number = queue + 1
    head = _TCMSG.pack(0, index, handle + (number << 16), handle | number, 0)
    options = struct.pack("=i16s", _BANDS, b"")
    body = head + _attribute(_KIND, b"prio\0") + _attribute(_OPTIONS, options)
    return _message(NEW_QDISC, _REQUEST | _ACK | _REPLACE | _CREATE, body)


def hold_request(index: int, *, handle: int, queue: int) -> bytes:
    """Hold what one queue of the ``taprio`` with this handle sends, in a ``plug`` of its own.

    Without one it is made, which drops what waits in that queue.
    """
    return _plug(index, handle, queue, _HOLD, _REQUEST | _ACK | _REPLACE | _CREATE)


def release_request(index: int, *, handle: int, queue: int) -> bytes:
    """Let a queue send again; an error where it has no ``plug``."""
    return _plug(index, handle, queue, _RELEASE, _REQUEST | _ACK)


def _plug(index: int, handle: int, queue: int, action: int, flags: int) -> bytes:
    band = handle + ((queue + 1) << 16)
    head = _TCMSG.pack(0, index, band + _PLUGS, band | 1, 0)
    options = struct.pack("=iI", action, _PLUG_BYTES)
    body = head + _attribute(_KIND, b"plug\0") + _attribute(_OPTIONS, options)
    return _message(NEW_QDISC, flags, body)


def dump_request() -> bytes:
    """All devices' queueing disciplines."""
    return _message(GET_QDISC, _REQUEST | _DUMP, _TCMSG.pack(0, 0, 0, 0, 0))


def noop_request() -> bytes:
    """Nothing, acknowledged: receiving that tells the kernel how large answers may be."""
    return _message(NOOP, _REQUEST | _ACK, b"")


def check_answer(answer: bytes) -> None:
    """Raise ``KernelError`` with the kernel's own text for a refusal among the messages."""
    for kind, flags, body in _messages(answer):
        if kind != ERROR:
            continue
        (number,) = struct.unpack_from("=i", body)
        if number:
            raise KernelError(f"errno {-number}: {_error_text(flags, body)}")


def _error_text(flags: int, body: bytes) -> str:
    if not flags & _ACK_ATTRIBUTES:
        return "no text"
    (length,) = struct.unpack_from("=I", body, 4)
    start = 4 + (_NLMSG.size if flags & _CAPPED else _aligned(length))
    text = _attributes(body[start:]).get(_MESSAGE, b"")
    return text.rstrip(b"\0").decode("utf-8", "replace") or "no text"


def parse_root(answer: bytes, index: int) -> Qdisc | None:
    """The root of device ``index`` in a dump; None where the device is not in it.

    Raises ``KernelError`` for a ``taprio`` whose attributes are not understood.
    """
    for kind, _flags, body in _messages(answer):
        if kind != NEW_QDISC:
            continue
        _family, device, handle, parent, _info = _TCMSG.unpack_from(body)
        if device != index or parent != ROOT:
            continue
        found = _attributes(body[_TCMSG.size :])
        name = found.get(_KIND, b"").rstrip(b"\0").decode("ascii", "replace")
        return Qdisc(
            kind=name,
            handle=handle,
            taprio=_taprio(found.get(_OPTIONS, b"")) if name == "taprio" else None,
        )
    return None


def _taprio(options: bytes) -> Taprio:
    found = _attributes(options)
    try:
        count, classes, _hardware, *queues = _MAPPING.unpack_from(found[_MAP])
        return Taprio(
            mapping=Mapping(
                classes=tuple(classes),
                queues=tuple(zip(queues[:count], queues[PRIORITIES:][:count], strict=True)),
            ),
            clock=struct.unpack("=i", found[_CLOCK])[0],
            flags=struct.unpack("=I", found[_FLAGS])[0] if _FLAGS in found else 0,
            running=_timetable(found),
            pending=_timetable(_attributes(found[_ADMIN])) if _ADMIN in found else None,
        )
    except (KeyError, struct.error) as error:
        raise KernelError(f"taprio's attributes are not understood: {error!r}") from error


def _timetable(found: dict[int, bytes]) -> Timetable | None:
    if _LIST not in found or _BASE not in found:
        return None
    entries = tuple(
        Entry(
            gates=struct.unpack("=I", entry[_GATES])[0],
            interval=Nanoseconds(struct.unpack("=I", entry[_INTERVAL])[0]),
        )
        for _kind, body in _walk(found[_LIST])
        for entry in (_attributes(body),)
    )
    (base,) = struct.unpack("=q", found[_BASE])
    return Timetable(base=base, schedule=GateSchedule(entries=entries))


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Kind, flags and body of each."""
    while len(data) >= _NLMSG.size:
        length, kind, flags, _sequence, _port = _NLMSG.unpack_from(data)
        if length < _NLMSG.size:
            return
        yield kind, flags, data[_NLMSG.size : length]
        data = data[_aligned(length) :]


def _walk(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _TYPE, data[_ATTRIBUTE.size : length]
        data = data[_aligned(length) :]


def _attributes(data: bytes) -> dict[int, bytes]:
    return dict(_walk(data))


def _message(kind: int, flags: int, body: bytes) -> bytes:
    return _NLMSG.pack(_NLMSG.size + len(body), kind, flags, 1, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + bytes(_aligned(length) - length)


def _nest(kind: int, *inner: bytes) -> bytes:
    return _attribute(kind | _NESTED, b"".join(inner))


def _aligned(length: int) -> int:
    return (length + 3) & ~3
