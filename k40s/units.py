"""Time as integer nanoseconds, and its text form, which always carries a unit."""

import re
from typing import NewType

Nanoseconds = NewType("Nanoseconds", int)

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

_UNITS = {"ns": 1, "us": NS_PER_US, "µs": NS_PER_US, "ms": NS_PER_MS, "s": NS_PER_S}
DURATION = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,9}))?(ns|us|µs|ms|s)", re.ASCII)

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
