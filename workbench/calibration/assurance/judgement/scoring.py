"""Scores metrics by how well they follow the harm to a real-time task (paper, V-B and Fig. 3).

Each metric's trace, and each of the two targets, goes through the same three steps: unit energy,
max filter, fourth power. A metric's score is the weighted sum of its cross-correlations with both
targets. Metrics that are highly correlated with a better one are dropped.

The paper leaves three things open. Chosen here:

- Cross-correlations are normalized (0..1). Without that a single spike anywhere scores higher than
  the target itself: unit energy and the fourth power favour the shortest trace.
- The score takes the peak of the cross-correlation within one filter window to either side, since
  the filter itself blurs by as much.
- Metrics are correlated with each other by Pearson's coefficient of the sampled traces.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from k40s.assurance.metrics import Metric
from workbench.calibration.assurance.plan.rt_app import Array

FILTER_SAMPLES = 50
"""Length of the max filter (paper, V-B: "50, in our case")."""
POWER = 4
"""Exponent that gives spikes more weight (paper, V-B)."""
EQUAL_WEIGHTS = (0.5, 0.5)
"""Weights of activation latency and of slack; the paper does not state its own."""
HIGHLY_CORRELATED = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricScore:
    """Correlations with activation latency and slack, and their weighted sum, each 0..1.

    ``follows`` names the better metric with which it is highly correlated; None if it is kept.
    """

    metric: Metric
    latency: float
    slack: float
    score: float
    follows: Metric | None = None


def unit_energy(trace: Array) -> Array:
    """The trace over the root of its sum of squares (paper, V-B); zeros stay zeros."""
    largest = np.max(np.abs(trace), initial=0.0)
    if largest == 0:
        return np.zeros_like(trace)
    scaled = trace / largest
    return np.asarray(scaled / np.sqrt(np.sum(scaled**2)), dtype=np.float64)


def max_filter(trace: Array, samples: int = FILTER_SAMPLES) -> Array:
    """Each sample becomes the largest of the ``samples`` around it (paper, V-B).

    The window reaches samples // 2 back, and is cut at both ends of the trace.
    """
    back = samples // 2
    padded = np.pad(trace, (back, samples - 1 - back), constant_values=-np.inf)
    return np.asarray(sliding_window_view(padded, samples).max(axis=1), dtype=np.float64)


def emphasize(trace: Array) -> Array:
    """Unit energy, max filter, fourth power: the blocks of Fig. 3 before the correlation."""
    return np.asarray(max_filter(unit_energy(trace)) ** POWER, dtype=np.float64)


def cross_correlation(one: Array, other: Array, *, lags: int = FILTER_SAMPLES) -> float:
    """The peak of the normalized cross-correlation within so many samples to either side.

    1 for traces that are proportional, 0 if one of them is zero throughout.
    """
    one, other = unit_energy(one), unit_energy(other)
    most = min(lags, len(one) - 1)
    return max(
        max(
            float(np.dot(one[lag:], other[: len(other) - lag])),
            float(np.dot(other[lag:], one[: len(one) - lag])),
        )
        for lag in range(most + 1)
    )


def score_metrics(
    metrics: Mapping[Metric, Array],
    *,
    latency: Array,
    slack_loss: Array,
    weights: tuple[float, float] = EQUAL_WEIGHTS,
) -> tuple[MetricScore, ...]:
    """Scores, the best first, with those that follow a better one marked (paper, Fig. 3).

    ``slack_loss`` grows as slack shrinks, so that both targets are high where the task is harmed.
    """
    targets = emphasize(latency), emphasize(slack_loss)
    scores = []
    for metric, trace in metrics.items():
        emphasized = emphasize(trace)
        by_latency, by_slack = (cross_correlation(emphasized, target) for target in targets)
        scores.append(
            MetricScore(
                metric=metric,
                latency=by_latency,
                slack=by_slack,
                score=weights[0] * by_latency + weights[1] * by_slack,
            )
        )
    return mark_followers(scores, metrics)


def mark_followers(
    scores: Sequence[MetricScore],
    metrics: Mapping[Metric, Array],
    *,
    limit: float = HIGHLY_CORRELATED,
) -> tuple[MetricScore, ...]:
    """The scores in order, each that is highly correlated with a better kept one marked (V-B)."""
    kept: list[Metric] = []
    marked = []
    for one in sorted(scores, key=lambda score: (-score.score, score.metric)):
        better = next(
            (m for m in kept if abs(pearson(metrics[m], metrics[one.metric])) > limit), None
        )
        if better is None:
            kept.append(one.metric)
        marked.append(
            MetricScore(
                metric=one.metric,
                latency=one.latency,
                slack=one.slack,
                score=one.score,
                follows=better,
            )
        )
    return tuple(marked)


def pearson(one: Array, other: Array) -> float:
    """Pearson's correlation coefficient; 0 where a trace is constant."""
    first, second = unit_energy(one - one.mean()), unit_energy(other - other.mean())
    return float(np.dot(first, second))
