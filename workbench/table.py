"""Plain tables for terminals: columns as wide as their widest cell, two spaces apart."""

from collections.abc import Sequence
from fractions import Fraction

from k40s.units import format_duration


def format_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines of a table with a heading, without trailing spaces."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def as_share(value: Fraction) -> str:
    """A fraction with three decimals."""
    return f"{float(value):.3f}"


def as_percent(part: int, whole: int) -> str:
    """A quotient in per cent with one decimal, rounded up: what is below 100.0 % has slack."""
    return f"{-(-1000 * part // whole) / 10:.1f} %"


def or_dash(value: int | None) -> str:
    """A duration, or a dash where there is none."""
    return "-" if value is None else format_duration(value)
