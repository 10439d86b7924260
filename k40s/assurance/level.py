"""Assurance level A = α + β + γ, and the criticality that it suffices for (k4.0s, III)."""

from dataclasses import dataclass

from k40s.criticality import Criticality

HIGHEST_LEVEL = 20
"""α and β lie in 0..5, γ in 0..10."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The least levels for LOW and HI workloads: by default 1/3 and 2/3 of 20."""

    low: int = 7
    high: int = 14

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= HIGHEST_LEVEL:
            raise ValueError("thresholds break 0 <= low <= high <= 20")

    def required(self, criticality: Criticality) -> int:
        """The least level that a workload of this criticality needs."""
        return {Criticality.NO: 0, Criticality.LOW: self.low, Criticality.HI: self.high}[
            criticality
        ]


DEFAULT_THRESHOLDS = Thresholds()


def fitness(
    level: int, criticality: Criticality, thresholds: Thresholds = DEFAULT_THRESHOLDS
) -> bool:
    """Whether a node of this level is fit for a workload of this criticality."""
    return level >= thresholds.required(criticality)


def assurance_class(level: int, thresholds: Thresholds = DEFAULT_THRESHOLDS) -> Criticality:
    """The highest criticality that a level is fit for."""
    return max(c for c in Criticality if fitness(level, c, thresholds))
