"""Level and trend of a metric, from its last samples: robust against single outliers, no model.

The level is the median. The trend is the Theil-Sen slope, with Sen's confidence limit (Sen 1968):
the limit rests on the ranks of the pairwise slopes alone, so it holds for any noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from math import inf
from statistics import median

from k40s.units import NS_PER_S, Nanoseconds

CONFIDENCE = 0.95
"""With which the true slope is no smaller than the lower limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """A rise per second. ``low`` is its lower confidence limit, -inf with fewer than 4 samples."""

    estimate: float
    low: float


def find_level(values: Sequence[float]) -> float:
    """The median of one sample or more: half of them may be outliers."""
    return median(values)


def find_slope(times: Sequence[Nanoseconds], values: Sequence[float]) -> Slope:
    """The slope of two samples or more, at different times. Constant values give exactly zero.

    The median of the slopes between all pairs: of 5 samples one may be an outlier.
    """
    slopes = sorted(
        (values[later] - values[earlier]) / ((times[later] - times[earlier]) / NS_PER_S)
        for later in range(1, len(times))
        for earlier in range(later)
    )
    rank = _rank_of_limit(len(times))
    return Slope(estimate=median(slopes), low=-inf if rank is None else slopes[rank])


@cache
def _rank_of_limit(samples: int) -> int | None:
    """The index of the lower limit among the sorted slopes; None where no rank is sure enough.

    As many slopes lie below the true one as a random order of the samples has inversions.
    """
    orders = [1]
    for number in range(2, samples + 1):
        widened = [0] * (len(orders) + number - 1)
        for inversions, count in enumerate(orders):
            for more in range(number):
                widened[inversions + more] += count
        orders = widened
    allowed = (1 - CONFIDENCE) * sum(orders)
    sure = sum(below <= allowed for below in accumulate(orders))
    return sure - 1 if sure else None
