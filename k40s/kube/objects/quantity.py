"""Quantities as Kubernetes writes them (``250m``, ``128Mi``, ``1e3``), as whole billionths.

The grammar is that of ``k8s.io/apimachinery/pkg/api/resource``: a sign, digits with a point
anywhere among them, and a decimal suffix, a binary one, or a decimal exponent. What is finer than
a billionth is rounded away from zero, as Kubernetes does, and what is above 2^63 - 1 counts as
that. Reading takes time in the length of the text alone, whatever exponent it names.
"""

import re
from functools import lru_cache

NANO = 1_000_000_000
"""Billionths in one."""
LARGEST = ((1 << 63) - 1) * NANO
"""The largest quantity, in billionths."""

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_QUANTITY = re.compile(
    r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?)0*([0-9]+)|([KMGTPE]i|[numkMGTPE]|))", re.ASCII
)
_MOST_EXPONENT_DIGITS = 9
"""More than any text has digits: beyond it nothing but zero is neither endless nor vanishing."""
_FAR = 60
"""Decimal places from the point beyond which a number is too large, or a trace, for certain."""
_USUAL = 24
"""Longest text, in characters, whose value is cached."""
_KEPT = 100
"""Leading digits that decide; of the others it matters only whether one is not 0."""


def parse_quantity(text: str) -> int:
    """Read a quantity as billionths. Raises ``ValueError`` for what is none."""
    return _known(text) if len(text) <= _USUAL else _parse(text)


def _parse(text: str) -> int:
    match = _QUANTITY.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        raise ValueError(f"not a quantity: {text[:40]!r}")
    sign, whole, part, exponent_sign, exponent, suffix = match.groups(default="")
    digits = (whole + part).lstrip("0")
    if not digits:
        return 0
    point = len(whole) - (len(whole) + len(part) - len(digits))
    point += _DECIMAL.get(suffix, 0) + _exponent(exponent_sign, exponent)
    magnitude = _billionths(digits, point, _BINARY.get(suffix, 0))
    return -magnitude if sign == "-" else magnitude


_known = lru_cache(maxsize=1024)(_parse)
"""Most pods ask for the same few quantities."""


def _exponent(sign: str, digits: str) -> int:
    value = int(digits or "0") if len(digits) <= _MOST_EXPONENT_DIGITS else 10**9
    return -value if sign == "-" else value


def _billionths(digits: str, point: int, shift: int) -> int:
    """0.``digits`` times 10^``point`` times 2^``shift``; the first digit is not 0."""
    if point > _FAR:
        return LARGEST
    if point < -_FAR:
        return 1
    kept = digits[:_KEPT] + ("1" if digits[_KEPT:].strip("0") else "")
    places = point - len(kept) + 9
    number, factor = int(kept) << shift, int("1" + "0" * abs(places))
    return min(number * factor if places >= 0 else -(-number // factor), LARGEST)
