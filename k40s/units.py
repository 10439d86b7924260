"""Time as integer nanoseconds, with a unit in its text form; clocks; CPU lists."""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NewType

Nanoseconds = NewType("Nanoseconds", int)
Clock = Callable[[], int]
"""A monotonic clock, in ns."""
MonotonicClock = Callable[[], float]
"""A monotonic clock, in seconds."""
WallClock = Callable[[], datetime]
"""The time of day, in UTC."""

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

_MICRO = "\N{MICRO SIGN}s"
_MU = "\N{GREEK SMALL LETTER MU}s"
"""Keyboards and input methods write either; they look the same."""
_UNITS = {
    "ns": 1,
    "us": NS_PER_US,
    _MICRO: NS_PER_US,
    _MU: NS_PER_US,
    "ms": NS_PER_MS,
    "s": NS_PER_S,
}
DURATION = re.compile(rf"([0-9]{{1,15}})(?:\.([0-9]{{1,9}}))?({'|'.join(_UNITS)})", re.ASCII)

CPU_LIST_FORM = 'a CPU list such as "0,2-3"'
_MAX_CPU = 4096

DURATION_FORM = 'a duration with a unit, such as "250us", "1.5ms" or "1s"'


def parse_duration(text: str) -> Nanoseconds:
    """Read ``"250us"`` or ``"1.5ms"`` exactly.

    Raises ``ValueError`` for a bare number, an unknown unit, a sign, or a fraction of a nanosecond.
    """
    match = DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"not {DURATION_FORM}: {text!r}")
    whole, fraction, unit = match.groups()
    factor = _UNITS[unit]
    value = int(whole) * factor
    if fraction:
        scaled = int(fraction) * factor
        part, rest = divmod(scaled, 10 ** len(fraction))
        if rest:
            raise ValueError(f"finer than a nanosecond: {text!r}")
        value += part
    return Nanoseconds(value)


def format_duration(value: int) -> str:
    """Write nanoseconds in the largest unit that needs at most three decimals exactly.

    ``parse_duration(format_duration(x)) == x`` for every x from 0 to 999,999,999 seconds.
    """
    for unit, factor in (("s", NS_PER_S), ("ms", NS_PER_MS), ("us", NS_PER_US)):
        if value >= factor and (value * 1000) % factor == 0:
            whole, rest = divmod(value * 1000 // factor, 1000)
            return f"{whole}{unit}" if rest == 0 else f"{whole}.{rest:03d}".rstrip("0") + unit
    return f"{value}ns"


def format_cpu_list(cpus: Iterable[int]) -> str:
    """Write CPUs as the kernel does: "0,2-3"; "" for none."""
    parts: list[tuple[int, int]] = []
    for cpu in sorted(set(cpus)):
        if parts and parts[-1][1] == cpu - 1:
            parts[-1] = (parts[-1][0], cpu)
        else:
            parts.append((cpu, cpu))
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in parts)


def parse_cpu_list(text: str) -> tuple[int, ...]:
    """Read the kernel's CPU list form ("0,2-3"), ascending and without repeats; else ValueError."""
    cpus: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not part.isascii() or not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"not a CPU list: {text!r}")
        low, high = int(first), int(last) if dash else int(first)
        if low > high or high > _MAX_CPU:
            raise ValueError(f"not a CPU list: {text!r}")
        cpus.update(range(low, high + 1))
    return tuple(sorted(cpus))
