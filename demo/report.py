"""Claims of the demo beside the measured figures."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One claim of the story beside its measured figure."""

    claim: str
    expected: str
    measured: str
    held: bool


def format_table(checks: Sequence[Check]) -> str:
    """The checks as an aligned text table, one line each."""
    rows = [("", "claim", "expected", "measured")]
    rows += [("ok" if c.held else "FAIL", c.claim, c.expected, c.measured) for c in checks]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
