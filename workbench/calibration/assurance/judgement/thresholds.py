"""Thresholds from labelled windows, and how well they tell harm from no harm."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from k40s.assurance.metrics import Metric
from workbench.calibration.assurance.judgement.windows import Window
from workbench.calibration.assurance.plan.rt_app import Array

Flags = npt.NDArray[np.bool_]

PRECISION = 0.95
"""Of the windows that a rule calls harmful, the least share that must be."""
_LEAST_WINDOWS = 10
"""With fewer harmful, or fewer harmless windows nothing is learnt."""
_WORTHWHILE = 0.02
"""Recall that one more rule must add."""
_DIGITS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Counts of windows, and what follows from them; 0 where nothing was there to divide."""

    hits: int
    false_alarms: int
    misses: int
    windows: int

    @property
    def precision(self) -> float:
        """Share of the alarmed windows that harm."""
        return self.hits / max(1, self.hits + self.false_alarms)

    @property
    def recall(self) -> float:
        """Share of the harmful windows that are alarmed."""
        return self.hits / max(1, self.hits + self.misses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Where a metric's alarm is raised and cleared; ``quality`` on windows not fitted to."""

    metric: Metric
    raise_at: float
    clear_at: float
    quality: Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """Rules, and how they do together; ``harmful`` of ``windows`` windows were so.

    ``tried`` are all metrics' thresholds, also of those that are no rule.
    """

    rules: tuple[Threshold, ...]
    tried: tuple[Threshold, ...]
    together: Quality
    harmful: int
    windows: int


def choose_rules(
    windows: Sequence[Window], candidates: Sequence[Metric], *, least: Callable[[Metric], float]
) -> RuleSet:
    """Rules on metrics, the best scored first, that together keep the precision.

    A metric becomes a rule where its threshold keeps ``PRECISION`` alone and with those before, and
    adds recall. ``least`` is the smallest threshold that a metric's unit allows.
    """
    judged = [window for window in windows if not window.stolen]
    harmful = np.array([window.harms for window in judged], dtype=np.bool_)
    alarmed = np.zeros(len(judged), dtype=np.bool_)
    together = judge(alarmed, harmful)
    rules: list[Threshold] = []
    tried: list[Threshold] = []
    if min(harmful.sum(), (~harmful).sum()) >= _LEAST_WINDOWS:
        for metric in candidates:
            found = _threshold(metric, judged, harmful, least(metric))
            if found is None:
                continue
            tried.append(found)
            union = alarmed | (values_of(metric, judged) >= found.raise_at)
            quality = judge(union, harmful)
            enough = min(found.quality.precision, quality.precision) >= PRECISION
            if enough and quality.recall >= together.recall + _WORTHWHILE:
                rules.append(found)
                alarmed, together = union, quality
    return RuleSet(
        rules=tuple(rules),
        tried=tuple(tried),
        together=together,
        harmful=int(harmful.sum()),
        windows=len(judged),
    )


def values_of(metric: Metric, windows: Sequence[Window]) -> Array:
    """A metric by window; 0 where it is unknown, which raises no alarm."""
    return np.array([window.metrics.get(metric, 0.0) for window in windows], dtype=np.float64)


def judge(alarmed: Flags, harmful: Flags) -> Quality:
    """Count hits, false alarms and misses."""
    return Quality(
        hits=int(np.sum(alarmed & harmful)),
        false_alarms=int(np.sum(alarmed & ~harmful)),
        misses=int(np.sum(~alarmed & harmful)),
        windows=len(harmful),
    )


def fit(values: Array, harmful: Flags) -> float | None:
    """The raising value with the most recall among those that keep the precision.

    Where none keeps it, the one with the greatest precision among those that find a tenth of the
    harmful windows. None where no value separates anything.
    """
    order = np.argsort(-values, kind="stable")
    ranked, right = values[order], np.cumsum(harmful[order])
    last = np.append(ranked[1:] < ranked[:-1], False)  # the last row has nothing below it
    cuts = np.flatnonzero(last)
    if len(cuts) == 0 or right[-1] == 0:
        return None
    precision = right[cuts] / (cuts + 1)
    recall = right[cuts] / right[-1]
    kept = precision >= PRECISION
    if not kept.any():
        precision = np.where(recall >= 0.1, precision, 0.0)  # noqa: PLR2004  # a tenth
        best = cuts[int(np.argmax(precision))]
    else:
        best = cuts[int(np.argmax(np.where(kept, recall, -1.0)))]
    return float((ranked[best] + ranked[best + 1]) / 2)


def _threshold(
    metric: Metric, windows: Sequence[Window], harmful: Flags, least: float
) -> Threshold | None:
    values = values_of(metric, windows)
    raise_at = fit(values, harmful)
    if raise_at is None:
        return None
    raise_at = _rounded(max(raise_at, least))
    usual = float(np.median(values[~harmful]))
    clear_at = _rounded(max(least, min(raise_at, (usual + raise_at) / 2)))
    if not 0 < clear_at <= raise_at:
        return None
    return Threshold(
        metric=metric,
        raise_at=raise_at,
        clear_at=clear_at,
        quality=_held_out(values, windows, harmful, least),
    )


def _held_out(values: Array, windows: Sequence[Window], harmful: Flags, least: float) -> Quality:
    """Fit to one half of the windows, judge the other, and the other way round.

    The halves are odd and even repetitions; with one repetition, odd and even windows.
    """
    repeated = len({window.phase.repetition for window in windows}) > 1
    half = np.array(
        [(w.phase.repetition if repeated else w.number) % 2 == 0 for w in windows], dtype=np.bool_
    )
    alarmed = np.zeros(len(windows), dtype=np.bool_)
    for fitted, judged in ((half, ~half), (~half, half)):
        raise_at = fit(values[fitted], harmful[fitted])
        if raise_at is not None:
            alarmed[judged] = values[judged] >= max(raise_at, least)
    return judge(alarmed, harmful)


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
