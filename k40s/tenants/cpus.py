"""CPUs as text: "1.5" or "250m"."""

import re
from fractions import Fraction

from k40s.strict_json import Json

BILLION = 10**9
CPUS_FORM = 'CPUs, such as "1.5" or "250m"'
_CPUS = re.compile(r"([0-9]{1,6})(?:\.([0-9]{1,9}))?(m?)", re.ASCII)


def parse_cpus(text: str) -> Fraction:
    """Read CPUs. Raises ``ValueError``."""
    match = _CPUS.fullmatch(text)
    if match is None or (match[3] and match[2]):
        raise ValueError(f"not {CPUS_FORM}: {text!r}")
    if match[3]:
        return Fraction(int(match[1]), 1000)
    digits = match[2] or ""
    return Fraction(int(match[1] + digits), 10 ** len(digits))


def format_cpus(value: Fraction) -> str:
    """Write CPUs with at most nine decimals; exact for what ``round_up`` gave."""
    whole, rest = divmod(-(-value.numerator * BILLION // value.denominator), BILLION)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")


def round_up(value: Fraction) -> Fraction:
    """The next whole billionth of a CPU: sums of such values stay small numbers."""
    return Fraction(-(-value.numerator * BILLION // value.denominator), BILLION)


def read_cpus(place: Json) -> Fraction:
    """CPUs in JSON. Raises the place's error."""
    if not isinstance(place.value, str):
        raise place.invalid(CPUS_FORM)
    try:
        return parse_cpus(place.value)
    except ValueError:
        raise place.invalid(CPUS_FORM) from None
