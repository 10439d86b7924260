"""Labelled windows: half a second of metrics each, and whether the task was harmed in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from k40s.assurance.metrics import Metric
from k40s.units import NS_PER_S, NS_PER_US, Nanoseconds
from workbench.calibration.assurance.judgement.traces import quiet_from, quiet_jobs, select
from workbench.calibration.assurance.plan.experiment import PERIOD, WATCHING, Phase
from workbench.calibration.assurance.plan.recording import Recording
from workbench.calibration.assurance.plan.rt_app import Jobs

LENGTH = WATCHING
"""Of a window, so a window's mean is what one of malacoda's samples sees."""
ONSET = Nanoseconds(NS_PER_S)
"""Time after the start of stress that is in no window: stressors are still being started."""
HARM_FACTOR = 1.5
"""A task is harmed beyond so many times what is usual when the node is quiet."""
_USUAL, _WINDOW = 99, 95
"""Percentiles of the quiet jobs, and of a window's."""
_STOLEN = 0.004
"""Steal above which a window says nothing about the node's own workload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Activation latency and response time, in µs, beyond which a window harms."""

    latency: float
    response: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One window. ``number`` counts the windows of its phase; metrics are means over it.

    It ends ``end`` ns after the phase began.

    ``stolen``: the hypervisor took CPU time in it, so it is not judged.
    """

    phase: Phase
    number: int
    end: int
    stressed: bool
    harms: bool
    stolen: bool
    metrics: Mapping[Metric, float]


def limits_of(recordings: Sequence[Recording]) -> Limits:
    """From the quiet jobs of one policy: 1.5 × their 99th percentiles."""
    quiet = quiet_jobs(recordings)
    return Limits(
        latency=HARM_FACTOR * float(np.percentile(quiet.latency, _USUAL)),
        response=HARM_FACTOR * float(np.percentile(_responses(quiet), _USUAL)),
    )


def harms(jobs: Jobs, limits: Limits) -> bool:
    """Whether a window's jobs are harmed: late, slow, or missing.

    Its 95th percentile of activation latency or response time exceeds the limit, or its 5th
    percentile of slack is a missed deadline, or no job was activated at all.
    """
    if len(jobs.at) == 0:
        return True
    response = float(np.percentile(_responses(jobs), _WINDOW))
    return float(np.percentile(jobs.latency, _WINDOW)) > limits.latency or response > min(
        limits.response, PERIOD / NS_PER_US
    )


def cut_windows(recording: Recording, limits: Limits) -> list[Window]:
    """The windows of a phase: of its quiet part, then of its stress."""
    parts = (
        (False, quiet_from(recording), recording.stressed),
        (True, recording.stressed + ONSET, recording.ended),
    )
    found: list[Window] = []
    for stressed, begin, end in parts:
        for start in range(begin, end - LENGTH + 1, LENGTH):
            metrics = _means(recording, start, start + LENGTH)
            at = recording.jobs.at
            jobs = select(recording.jobs, (at >= start) & (at < start + LENGTH))
            found.append(
                Window(
                    phase=recording.phase,
                    number=len(found),
                    end=start + LENGTH,
                    stressed=stressed,
                    harms=harms(jobs, limits),
                    stolen=metrics.get(Metric.CPU_STEAL, 0.0) > _STOLEN,
                    metrics=metrics,
                )
            )
    return found


def _means(recording: Recording, start: int, end: int) -> dict[Metric, float]:
    inside = (recording.samples.times > start) & (recording.samples.times <= end)
    found: dict[Metric, float] = {}
    for metric, column in recording.samples.metrics.items():
        known = column[inside & ~np.isnan(column)]
        if len(known):
            found[metric] = float(known.mean())
    return found


def _responses(jobs: Jobs) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Response times in µs: the deadline, which is the period, less the slack."""
    return np.asarray(PERIOD / NS_PER_US - jobs.slack, dtype=np.float64)
