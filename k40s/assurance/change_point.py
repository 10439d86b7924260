"""Detects the onset of a hazard: the one-sided CUSUM test (Page 1954), with clipped increments.

Of all tests with as rare false alarms, CUSUM has the least delay in the worst case (Lorden 1971,
Moustakides 1986). An increment is clipped, so that a single sample, however high, raises no alarm.
"""

from dataclasses import dataclass

LEAST_SAMPLES = 2
"""So many samples are needed to reach the decision value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cusum:
    """The test's parameters, in the metric's unit.

    What a sample exceeds ``reference`` by is summed up, what it falls short of it taken off, never
    below zero. At ``decision`` the metric has changed.
    """

    reference: float
    decision: float

    def __post_init__(self) -> None:
        if self.reference <= 0 or self.decision <= 0:
            raise ValueError("a change point has a reference and a decision value above 0")


def accumulate(total: float, test: Cusum, value: float) -> float:
    """The sum after one more sample; the metric has changed where it reaches ``decision``."""
    increment = min(value - test.reference, test.decision / LEAST_SAMPLES)
    return max(0.0, min(test.decision, total + increment))
