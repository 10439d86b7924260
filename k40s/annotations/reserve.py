"""The reserve of a node for HI, as text: a WCET and a period, such as ``20ms/100ms``."""

from k40s.cpu.model import MAX_PERIOD, MIN_PERIOD, Server
from k40s.strict_json import Json
from k40s.units import NS_PER_US, format_duration, parse_duration

RESERVE_FORM = (
    'a WCET and a period in whole microseconds, such as "20ms/100ms", the period '
    f"{format_duration(MIN_PERIOD)} to {format_duration(MAX_PERIOD)}"
)


def format_reserve(reserve: Server) -> str:
    """``parse_reserve`` gives back the same value."""
    return f"{format_duration(reserve.budget)}/{format_duration(reserve.period)}"


def parse_reserve(text: str) -> Server:
    """Parse a reserve. Raises ``ValueError``."""
    wcet, period = map(parse_duration, text.partition("/")[::2])
    if wcet % NS_PER_US or period % NS_PER_US or not MIN_PERIOD <= period <= MAX_PERIOD:
        raise ValueError(f"{text!r} is not {RESERVE_FORM}")
    return Server(budget=wcet, period=period)


def read_reserve(place: Json) -> Server:
    """Read a reserve in JSON. Raises the error of ``place``."""
    if not isinstance(place.value, str):
        raise place.invalid(RESERVE_FORM)
    try:
        return parse_reserve(place.value)
    except ValueError:
        raise place.invalid(RESERVE_FORM) from None
