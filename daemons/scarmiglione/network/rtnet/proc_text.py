"""Parse the texts of /proc/rtnet. Pure.

Formats as of Xenomai 3.0 to 3.3. Where a text has another form, ``KernelError`` names the line:
a guess about a real-time network is worse than none.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from daemons.scarmiglione.network.back_end import AppliedSlot, Role
from k40s.errors import KernelError
from k40s.units import NS_PER_US, Nanoseconds

_WIDTHS = (16, 16, 16, 8)
"""Of the first columns of ``tdma``: "Backup Master" contains a space."""
_ROLES = {"Master": Role.MASTER, "Backup Master": Role.BACKUP, "Slave": Role.STATION}
_SLOT = re.compile(
    r"(?P<id>[0-9]+)(?:->(?P<joins>[0-9]+))?:(?P<offset>[0-9]+)"
    r":(?P<phasing>[0-9]+)/(?P<period>[0-9]+):(?P<size>[0-9]+)",
    re.ASCII,
)
_BACKUP = re.compile(r"bak:(?P<offset>[0-9]+)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discipline:
    """A row of ``rtmac/tdma``: an interface that TDMA is attached to.

    ``cycle`` is None on stations, which never learn it.
    """

    interface: str
    role: Role
    cycle: Nanoseconds | None
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """A row of ``rtmac/tdma_slots``; ``backup`` is the offset of a backup master's Sync."""

    interface: str
    slots: tuple[AppliedSlot, ...]
    backup: Nanoseconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A row of ``devices``."""

    interface: str
    up: bool
    loopback: bool


def parse_tdma(text: str) -> dict[str, Discipline]:
    """Interface → discipline, of ``rtmac/tdma``; the cycle is shown in µs."""
    return {one.interface: one for one in map(_discipline, _rows(text, "Interface"))}


def _discipline(line: str) -> Discipline:
    cells, rest = [], line
    for width in _WIDTHS:
        cells.append(rest[:width].strip())
        rest = rest[width:]
    interface, _device, mode, cycle = cells
    role, state = _ROLES.get(mode), rest.strip()
    if not interface or role is None or not state or not (cycle == "-" or _is_number(cycle)):
        raise _bad("rtmac/tdma", line)
    period = None if cycle == "-" else Nanoseconds(int(cycle) * NS_PER_US)
    return Discipline(interface=interface, role=role, cycle=period, state=state)


def parse_slots(text: str) -> dict[str, Slots]:
    """Interface → slots, of ``rtmac/tdma_slots``: ``id[->joint]:offset:phasing/period:size``."""
    return {one.interface: one for one in map(_slots, _rows(text, "Interface"))}


def _slots(line: str) -> Slots:
    interface, *words = line.split()
    backup = None
    if words and (match := _BACKUP.fullmatch(words[0])):
        backup, words = Nanoseconds(int(match["offset"]) * NS_PER_US), words[1:]
    return Slots(
        interface=interface, slots=tuple(_slot(word, line) for word in words), backup=backup
    )


def _slot(word: str, line: str) -> AppliedSlot:
    match = _SLOT.fullmatch(word)
    if match is None or not 1 <= int(match["phasing"]) <= int(match["period"]):
        raise _bad("rtmac/tdma_slots", line)
    return AppliedSlot(
        number=int(match["id"]),
        joins=None if match["joins"] is None else int(match["joins"]),
        offset=Nanoseconds(int(match["offset"]) * NS_PER_US),
        phase=int(match["phasing"]) - 1,
        every=int(match["period"]),
        payload=int(match["size"]),
    )


def parse_vnics(text: str) -> dict[str, str]:
    """Real-time interface → the interface for ordinary traffic, of ``rtmac/vnics``."""
    found = {}
    for line in _rows(text, "RT-NIC name"):
        words = line.split()
        if len(words) != 2:  # noqa: PLR2004  # columns
            raise _bad("rtmac/vnics", line)
        found[words[0]] = words[1]
    return found


def parse_disciplines(text: str) -> frozenset[str]:
    """Names of the registered disciplines, of ``rtmac/disciplines``."""
    return frozenset(line.split()[0] for line in _rows(text, "Name"))


def parse_devices(text: str) -> dict[str, Device]:
    """Interface → device, of ``devices``."""
    found = {}
    for line in _rows(text, "Index"):
        words = line.split()
        if len(words) < 3 or words[2] not in {"UP", "DOWN"}:  # noqa: PLR2004  # columns
            raise _bad("devices", line)
        found[words[1]] = Device(
            interface=words[1], up=words[2] == "UP", loopback="LOOPBACK" in words
        )
    return found


def parse_received(text: str) -> dict[str, int]:
    """Interface → packets received, of ``stats``: the second figure after the name."""
    found = {}
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        if not colon:
            continue
        words = rest.split()
        if len(words) < 2 or not _is_number(words[1]):  # noqa: PLR2004  # bytes, packets
            raise _bad("stats", line)
        found[name.strip()] = int(words[1])
    return found


def parse_version(text: str) -> str:
    """The first line of ``version``."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _rows(text: str, heading: str) -> Iterator[str]:
    """Lines below the heading; a text without its heading is of another format."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return
    if not lines[0].startswith(heading):
        raise _bad(f"a table headed {heading!r}", lines[0])
    yield from lines[1:]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _bad(file: str, line: str) -> KernelError:
    return KernelError(f"/proc/rtnet: {file} has a form that is not known: {line[:120]!r}")
