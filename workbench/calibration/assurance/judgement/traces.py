"""Recordings as traces: metrics and the task's harm on one grid, sample by sample."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from k40s.assurance.metrics import Metric
from workbench.calibration.assurance.plan.recording import Recording
from workbench.calibration.assurance.plan.rt_app import Array, Jobs

_MOST_MISSING = 0.1
"""A metric that more of the samples lack is left out."""
_SETTLING = 0.25
"""Part of the cooldown that does not count as quiet: the stress before still has effects."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Traces:
    """Concatenated phases. ``latency`` and ``slack_loss`` in µs, the worst of each sample.

    ``missing`` names the metrics that are left out since too many samples lack them.
    """

    metrics: Mapping[Metric, Array]
    latency: Array
    slack_loss: Array
    missing: tuple[Metric, ...]


def quiet_from(recording: Recording) -> int:
    """When the phase counts as quiet, in ns since it began; until the stress."""
    return round(recording.stressed * _SETTLING)


def quiet_jobs(recordings: Sequence[Recording]) -> Jobs:
    """The jobs of all quiet parts."""
    parts = []
    for recording in recordings:
        at = recording.jobs.at
        inside = (at >= quiet_from(recording)) & (at < recording.stressed)
        parts.append(select(recording.jobs, inside))
    return Jobs(
        at=np.concatenate([part.at for part in parts]),
        latency=np.concatenate([part.latency for part in parts]),
        slack=np.concatenate([part.slack for part in parts]),
    )


def select(jobs: Jobs, chosen: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Jobs:
    """The jobs that a mask chooses."""
    return Jobs(at=jobs.at[chosen], latency=jobs.latency[chosen], slack=jobs.slack[chosen])


def build_traces(recordings: Sequence[Recording]) -> Traces:
    """Concatenate the phases of one policy.

    Slack is turned into its loss against the quiet median (0 where there is none), so that both
    targets are high where the task is harmed.
    """
    usual = float(np.median(quiet_jobs(recordings).slack))
    samples = [recording.samples for recording in recordings]
    names = sorted({metric for one in samples for metric in one.metrics})
    columns = {
        name: np.concatenate([s.metrics.get(name, np.full(len(s.times), np.nan)) for s in samples])
        for name in names
    }
    missing = [name for name in names if np.mean(np.isnan(columns[name])) > _MOST_MISSING]
    jobs = [(each.samples.times, each.jobs) for each in recordings]
    return Traces(
        metrics={n: _filled(columns[n]) for n in names if n not in missing},
        latency=np.concatenate([worst(times, own.at, own.latency) for times, own in jobs]),
        slack_loss=np.concatenate(
            [worst(times, own.at, np.maximum(0.0, usual - own.slack)) for times, own in jobs]
        ),
        missing=tuple(missing),
    )


def worst(times: Array, at: Array, values: Array) -> Array:
    """By sample, the largest value since the sample before.

    A sample without any activation takes the value of the next one, which was due: the task was
    waiting for it. After the last activation it is the last value.
    """
    found = np.full(len(times), -np.inf)
    index = np.searchsorted(times, at, side="left")
    inside = index < len(times)
    np.maximum.at(found, index[inside], values[inside])
    following = values[min(len(values) - 1, int(np.count_nonzero(inside)))]
    for position in range(len(times) - 1, -1, -1):
        if found[position] == -np.inf:
            found[position] = following
        following = found[position]
    return found


def _filled(column: Array) -> Array:
    """The column with each unknown value replaced by the one before, at the beginning after."""
    known = ~np.isnan(column)
    index = np.where(known, np.arange(len(column)), -1)
    index = np.maximum.accumulate(index)
    index[index < 0] = int(np.argmax(known))
    return np.asarray(column[index], dtype=np.float64)
