"""Cells of tables about a cluster: bars, times, ages."""

from collections.abc import Iterable
from datetime import datetime

from k40s.overview.model import CoreRow, DaemonRow, NodeRow, PodRow, SuspectRow
from k40s.units import NS_PER_US, format_duration

NONE = "-"
_BAR = 10
_LONGEST = 100
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def bar(used: float, capacity: float, *, width: int = _BAR) -> str:
    """``[####------]``; something is never drawn as nothing, nor a full core as one with room."""
    if capacity <= 0:
        return f"[{' ' * width}]"
    filled = round(width * min(used / capacity, 1.0))
    if used > 0:
        filled = max(filled, 1)
    if used < capacity:
        filled = min(filled, width - 1)
    return f"[{'#' * filled}{'-' * (width - filled)}]"


def used_share(core: CoreRow) -> float:
    """What is reserved of a core."""
    return sum(one.share for one in core.servers)


def load(row: NodeRow) -> tuple[float, float]:
    """What is reserved of all cores of a node, and what may be."""
    return sum(map(used_share, row.cores)), sum(one.capacity for one in row.cores)


def in_time(micros: float) -> str:
    """A duration in µs as k40s writes durations; a dash for none."""
    return format_duration(round(micros * NS_PER_US)) if micros else NONE


def age(since: str, at: str) -> str:
    """The time between two instants, as kubectl writes ages."""
    try:
        seconds = int((_instant(at) - _instant(since)).total_seconds())
    except ValueError:
        return NONE
    return span(seconds)


def span(seconds: float) -> str:
    """``45s``, ``3m``, ``2h``, ``5d``: whole units, rounded down."""
    whole = max(0, int(seconds))
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    if whole < 2 * _HOUR:
        return f"{whole // _MINUTE}m"
    return f"{whole // _HOUR}h" if whole < 2 * _DAY else f"{whole // _DAY}d"


def daemons(rows: Iterable[DaemonRow]) -> str:
    """``ok``, or who is silent and for how long; a dash where there are none."""
    rows = tuple(rows)
    silent = [
        f"{one.name} silent {span(one.silent)}" if one.silent else f"{one.name} silent"
        for one in rows
        if one.silent is not None
    ]
    if silent:
        return ", ".join(silent)
    return "ok" if rows else NONE


def suspects(rows: Iterable[SuspectRow]) -> str:
    """Who is held responsible, and what was done to each."""
    return ", ".join(f"{_name(one)} ({one.act})" for one in rows) or NONE


def level(row: NodeRow) -> str:
    """The level, and by how much a hazard has lowered it."""
    if row.level is None:
        return NONE
    return f"{row.level} (-{row.reduced})" if row.reduced else str(row.level)


def enforced(row: PodRow) -> str:
    """Whether the kernel enforces it; a dash where there is nothing to enforce or to say."""
    return NONE if row.enforced is None else yes(row.enforced)


def yes(value: bool) -> str:  # one value, nothing to confuse it with
    """A Boolean as people say it."""
    return "yes" if value else "no"


def shortened(text: str) -> str:
    """A text as one line that fits beside others."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def natural(name: str) -> tuple[tuple[bool, int, str], ...]:
    """A key by which ``edge-10`` comes after ``edge-9``."""
    parts: list[str] = [""]
    for character in name:
        if parts[-1] and character.isdecimal() != parts[-1][-1].isdecimal():
            parts.append("")
        parts[-1] += character
    return tuple(
        (False, int(part), "") if part.isascii() and part.isdecimal() else (True, 0, part)
        for part in parts
    )


def _name(one: SuspectRow) -> str:
    return f"{one.namespace}/{one.pod}" if one.pod else "an unknown pod"


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
