"""Claims of the demo beside the measured figures."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One claim of the story beside its measured figure.

    One ``of_time`` is broken by a machine that stands still, too: its host, or its emulator.
    """

    claim: str
    expected: str
    measured: str
    held: bool
    of_time: bool = False


def broken(checks: Sequence[Check], *, patience: int = 1) -> list[Check]:
    """The claims that did not hold.

    Of those of time none counts where everything was given ``patience``: an emulator's time is
    not the CPU's.
    """
    return [one for one in checks if not one.held and not (one.of_time and patience > 1)]


def format_table(checks: Sequence[Check], *, patience: int = 1) -> str:
    """The checks as an aligned text table, one line each; "late" where only time is broken."""
    failed = {id(one) for one in broken(checks, patience=patience)}
    words = {True: "ok", False: "late"}
    rows = [("", "claim", "expected", "measured")]
    rows += [
        ("FAIL" if id(c) in failed else words[c.held], c.claim, c.expected, c.measured)
        for c in checks
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
