"""Words of networks in JSON: names, bit rates ("100Mbit") and sizes ("256B")."""

import re
from collections.abc import Callable
from typing import TypeVar

from k40s.ledger.entry_json import NAME
from k40s.strict_json import Json
from k40s.units import DURATION_FORM, Nanoseconds, parse_duration

T = TypeVar("T")

PEER = re.compile(rf"(?:{NAME.pattern}/)?{NAME.pattern}", re.ASCII)
PEER_FORM = 'a node\'s name, or a pod as "namespace/name"'
INTERFACE = re.compile(r"(?!\.\.?$)[!-.0-9;-~]{1,15}", re.ASCII)
"""Of a network device in Linux: 1 to 15 characters, no slash, colon or space."""
INTERFACE_FORM = 'a network device\'s name, such as "rteth0"'

HIGHEST_RATE = 10**13
HIGHEST_SIZE = 65_535

_RATE_UNITS = {"bit": 1, "kbit": 10**3, "Mbit": 10**6, "Gbit": 10**9}
_RATE = re.compile(r"([0-9]{1,14})(?:\.([0-9]{1,9}))?(bit|kbit|Mbit|Gbit)", re.ASCII)
RATE_FORM = 'bits per second with a unit, such as "10Mbit", "1.5Gbit" or "64kbit"'
_SIZE = re.compile(r"([0-9]{1,5})B", re.ASCII)
SIZE_FORM = f'bytes of a packet with their unit, "1B" to "{HIGHEST_SIZE}B"'


def parse_bit_rate(text: str) -> int:
    """Read ``"100Mbit"``, in bit/s; above zero. Raises ``ValueError``."""
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError(f"not {RATE_FORM}: {text!r}")
    whole, fraction, unit = match.groups()
    digits = fraction or ""
    divisor: int = 10 ** len(digits)
    scaled, rest = divmod(int(whole + digits) * _RATE_UNITS[unit], divisor)
    if rest or not 0 < scaled <= HIGHEST_RATE:
        raise ValueError(f"not a whole number of bit/s, 1bit to 10000Gbit: {text!r}")
    return scaled


def format_bit_rate(value: int) -> str:
    """Write bit/s in the largest unit that needs no decimals; ``parse_bit_rate`` reads it back."""
    for unit in ("Gbit", "Mbit", "kbit"):
        if value >= _RATE_UNITS[unit] and value % _RATE_UNITS[unit] == 0:
            return f"{value // _RATE_UNITS[unit]}{unit}"
    return f"{value}bit"


def read_bit_rate(place: Json) -> int:
    """A bit rate above zero, in bit/s. Raises the place's error."""
    if not isinstance(place.value, str):
        raise place.invalid(RATE_FORM)
    try:
        return parse_bit_rate(place.value)
    except ValueError:
        raise place.invalid(RATE_FORM) from None


def read_moment(place: Json) -> Nanoseconds:
    """A duration from zero, with its unit. Raises the place's error."""
    if not isinstance(place.value, str):
        raise place.invalid(DURATION_FORM)
    try:
        return parse_duration(place.value)
    except ValueError:
        raise place.invalid(DURATION_FORM) from None


def read_size(place: Json) -> int:
    """A packet's size in bytes, above zero. Raises the place's error."""
    match = _SIZE.fullmatch(place.value) if isinstance(place.value, str) else None
    if match is None or not 1 <= int(match[1]) <= HIGHEST_SIZE:
        raise place.invalid(SIZE_FORM)
    return int(match[1])


def format_size(value: int) -> str:
    """Write bytes; ``read_size`` reads it back."""
    return f"{value}B"


def checked(place: Json, build: Callable[[], T]) -> T:
    """The value that ``build`` makes; its ``ValueError`` becomes the place's error.

    Values of ``k40s.tdma`` say "field: found this, expected that", with the field's JSON name.
    """
    try:
        return build()
    except ValueError as error:
        name, _, rest = str(error).partition(": found ")
        found, _, expected = rest.partition(", expected ")
        raise (
            place.members().get(name, place).invalid(expected or str(error), found=found or None)
        ) from None
