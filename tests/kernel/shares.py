"""What threads get of their cores, and whether that is what they were granted."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.kernel.undisturbed import undisturbed

SECONDS = 5.0
_TOLERANCE = 0.01


@dataclass(frozen=True)
class _Look:
    """CPU time of a thread at a moment, in seconds, and how long reading it took."""

    moment: float
    ran: float
    took: float


def measured_shares(*tids: int, expected: Sequence[float]) -> tuple[float, ...]:
    """The shares of threads: as expected, or another for no reason outside; else the test skips."""

    def holds(found: tuple[float, ...], took: float) -> bool:
        return keeps_to(found, expected, host=took / SECONDS)

    def show(found: tuple[float, ...]) -> str:
        return f"shares {_text(found)}; budgets {_text(expected)}"

    return undisturbed(lambda: _measure(*tids), holds, show=show)


def keeps_to(found: Sequence[float], budgets: Sequence[float], *, host: float = 0.0) -> bool:
    """Whether each share is its budget, to a hundredth, and to what the host took."""
    pairs = zip(found, budgets, strict=True)
    return all(abs(share - budget) <= _TOLERANCE + host for share, budget in pairs)


def _measure(*tids: int) -> tuple[float, ...]:
    before = [_look(tid) for tid in tids]
    time.sleep(SECONDS)
    after = [_look(tid) for tid in tids]
    return tuple(
        (late.ran - early.ran) / (late.moment - early.moment)
        for early, late in zip(before, after, strict=True)
    )


def _look(tid: int, tries: int = 50) -> _Look:
    """The look of the least delay: an ordinary process waits long beside real-time hogs."""
    looks: list[_Look] = []
    while len(looks) < tries and not (looks and looks[-1].took < 0.0005):
        before, ran = time.monotonic(), ran_seconds(tid)
        after = time.monotonic()
        looks.append(_Look(moment=(before + after) / 2, ran=ran, took=after - before))
    return min(looks, key=lambda look: look.took)


def ran_seconds(tid: int) -> float:
    """The CPU time of one thread."""
    return int(Path(f"/proc/{tid}/schedstat").read_text().split()[0]) / 1e9


def _text(shares: Sequence[float]) -> str:
    return ", ".join(f"{share:.4f}" for share in shares)
