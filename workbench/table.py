"""Plain tables for terminals, and figures in them: columns as wide as their widest cell.

Rounding never moves a figure across a bound that it is compared with.
"""

from collections.abc import Sequence
from fractions import Fraction

from k40s.units import NS_PER_MS, NS_PER_S, NS_PER_US
from workbench.printable import in_line

_DECIMALS = 3
_MOST_DECIMALS = 12


def format_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines of a table with a heading, two spaces between columns, without trailing spaces.

    A cell is one line without control characters, whatever its text.
    """
    lines = [tuple(map(in_line, line)) for line in (head, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def as_share(value: Fraction, *bounds: Fraction) -> str:
    """A fraction with three decimals, or as many as keep it on its side of all bounds.

    What differs from a bound by less than a millionth of a millionth is written as a fraction.
    """
    for decimals in range(_DECIMALS, _MOST_DECIMALS + 1):
        scaled = round(value * 10**decimals)
        if all(
            _side(Fraction(scaled, 10**decimals), bound) == _side(value, bound) for bound in bounds
        ):
            whole, rest = divmod(abs(scaled), 10**decimals)
            return f"{'-' if scaled < 0 else ''}{whole}.{rest:0{decimals}d}"
    return str(value)


def as_limit(value: Fraction) -> str:
    """A fraction that others are compared with: three decimals where they are exact."""
    return as_share(value, value)


def as_percent(part: int, whole: int) -> str:
    """A quotient in per cent with one decimal, rounded up: what is below 100.0 % has slack."""
    tenths = -(-1000 * part // whole)
    return f"{tenths // 10}.{tenths % 10} %"


def as_time(value: int) -> str:
    """Nanoseconds in the largest unit that is not longer, with all decimals that it takes."""
    for unit, factor in (("s", NS_PER_S), ("ms", NS_PER_MS), ("us", NS_PER_US)):
        if value >= factor:
            whole, rest = divmod(value, factor)
            digits = f"{rest:0{len(str(factor)) - 1}d}".rstrip("0")
            return f"{whole}.{digits}{unit}" if digits else f"{whole}{unit}"
    return f"{value}ns"


def or_dash(value: int | None) -> str:
    """A duration, or a dash where there is none."""
    return "-" if value is None else as_time(value)


def _side(value: Fraction, bound: Fraction) -> int:
    return (value > bound) - (value < bound)
