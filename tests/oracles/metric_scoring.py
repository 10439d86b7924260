"""The scoring of the k4.0s paper's Fig. 3 in plain loops, written from its text alone."""

import math


def emphasized(trace: list[float], window: int) -> list[float]:
    """Unit energy, then the largest of the window around each sample, then the fourth power."""
    energy = 0.0
    for value in trace:
        energy += value * value
    normalized = [value / math.sqrt(energy) if energy else 0.0 for value in trace]
    found = []
    for index in range(len(trace)):
        largest = -math.inf
        for other in range(index - window // 2, index - window // 2 + window):
            if 0 <= other < len(trace):
                largest = max(largest, normalized[other])
        found.append(largest**4)
    return found


def correlation_peak(one: list[float], other: list[float], lags: int) -> float:
    """The largest of all shifted products over the product of both norms."""
    norms = math.sqrt(sum(v * v for v in one)) * math.sqrt(sum(v * v for v in other))
    if norms == 0:
        return 0.0
    best = 0.0
    for lag in range(-lags, lags + 1):
        total = 0.0
        for index, value in enumerate(one):
            if 0 <= index + lag < len(other):
                total += value * other[index + lag]
        best = max(best, total / norms)
    return best


def score(
    trace: list[float], targets: list[list[float]], weights: list[float], *, window: int, lags: int
) -> float:
    """The weighted sum of the correlations with all targets."""
    mine = emphasized(trace, window)
    return sum(
        weight * correlation_peak(mine, emphasized(target, window), lags)
        for target, weight in zip(targets, weights, strict=True)
    )


def coefficient(one: list[float], other: list[float]) -> float:
    """Pearson's, from its definition."""
    first, second = sum(one) / len(one), sum(other) / len(other)
    above = sum((a - first) * (b - second) for a, b in zip(one, other, strict=True))
    below = sum((a - first) ** 2 for a in one) * sum((b - second) ** 2 for b in other)
    return above / math.sqrt(below) if below else 0.0
