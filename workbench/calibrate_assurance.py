"""``k40s calibrate assurance``: which metrics show on this node that a task is being harmed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from k40s.assurance.metrics import Metric
from k40s.assurance.profile import Profile, format_profile
from k40s.units import NS_PER_S
from workbench.calibration.assurance.judgement.effects import stressed_jobs
from workbench.calibration.assurance.judgement.findings import Findings, find, victim_of
from workbench.calibration.assurance.judgement.profile_text import build_profile, default_name
from workbench.calibration.assurance.judgement.report import effects_csv, scores_csv
from workbench.calibration.assurance.judgement.traces import quiet_jobs, worst
from workbench.calibration.assurance.plan import store
from workbench.calibration.assurance.plan.experiment import Policy, Stress
from workbench.calibration.assurance.plan.recording import Recording
from workbench.calibration.assurance.plan.rt_app import Array, Jobs
from workbench.plots.files import plot_boxes, plot_traces
from workbench.plots.measurements import (
    Box,
    BoxPanel,
    BoxPicture,
    Shade,
    Trace,
    TracePicture,
    thinned,
)

_MOST_POINTS = 500
_TRACES = 3
"""Metrics in the picture of traces."""
_LEAST_SLACK = -10.0
"""Milliseconds; slack below is clamped for readability, as in the paper's Fig. 2."""
_US_PER_MS = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What an experiment's recordings show. ``profile`` is None where no metric would do."""

    findings: Findings
    profile: Profile | None
    recordings: tuple[Recording, ...]


def evaluate(directory: Path, *, name: str | None, at: datetime) -> Result:
    """Score all finished phases of a directory; ``name`` is the profile's, None for the kernel's.

    Raises ``InvalidInputError``, ``CalibrationError``, ``OSError``.
    """
    setting = store.require_setting(directory)
    phases = store.finished(directory, setting.experiment)
    recordings = tuple(store.load(directory, phase) for phase in phases)
    findings = find(setting, recordings)
    chosen = default_name(setting.kernel) if name is None else name
    return Result(
        findings=findings,
        profile=build_profile(findings, name=chosen, at=at),
        recordings=recordings,
    )


def write_results(result: Result, directory: Path, *, pictures: str | None) -> tuple[Path, ...]:
    """Write tables, profile and pictures (``svg``, ``png``, or None); returns the files.

    Raises ``OSError``, ``PlotError``. A profile that no longer stands is removed.
    """
    profile = directory / "profile.json"
    texts = {
        directory / "effects.csv": effects_csv(result.findings),
        directory / "scores.csv": scores_csv(result.findings),
    }
    if result.profile is None:
        profile.unlink(missing_ok=True)
    else:
        texts[profile] = format_profile(result.profile)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    drawn: list[Path] = []
    if pictures is not None:
        boxes, traces = (directory / f"{name}.{pictures}" for name in ("effects", "traces"))
        plot_boxes(boxes_of(result), boxes)
        plot_traces(traces_of(result), traces)
        drawn = [boxes, traces]
    return (*texts, *drawn)


def boxes_of(result: Result) -> BoxPicture:
    """Latency and slack by stress and policy, of the most stressors: the paper's Fig. 2."""
    groups = [
        (one.policy, _heaviest(result.recordings, one.policy)) for one in result.findings.policies
    ]
    most = max(recording.phase.stressors for _, own in groups for recording in own)
    kernel = result.findings.setting.kernel
    return BoxPicture(
        title=f"Task of 1.9 ms in 10 ms beside {most} stressors, kernel {kernel}",
        upper_label="activation latency [µs]",
        lower_label=f"slack [ms], clamped at {_LEAST_SLACK:g}",
        upper=tuple(
            BoxPanel(
                title=policy.value,
                boxes=tuple(
                    _box(label, np.maximum(1.0, jobs.latency)) for label, jobs in _jobs(own)
                ),
            )
            for policy, own in groups
        ),
        lower=tuple(
            BoxPanel(
                title=policy.value,
                boxes=tuple(
                    _box(label, np.maximum(_LEAST_SLACK, jobs.slack / _US_PER_MS))
                    for label, jobs in _jobs(own)
                ),
            )
            for policy, own in groups
        ),
    )


def traces_of(result: Result) -> TracePicture:
    """Latency and the best metrics over time, stress shaded: the paper's Fig. 4.

    Of the first repetition with the most stressors, under FIFO or the first policy recorded.
    """
    policies = [one.policy for one in result.findings.policies]
    policy = Policy.FIFO if Policy.FIFO in policies else policies[0]
    own = _heaviest(result.recordings, policy)
    first = min(recording.phase.repetition for recording in own)
    own = [recording for recording in own if recording.phase.repetition == first]
    offsets = np.cumsum([0.0, *(recording.ended / NS_PER_S for recording in own)])
    pairs = list(zip(own, offsets, strict=False))
    latency = [worst(r.samples.times, r.jobs.at, r.jobs.latency) for r in own]
    times = [r.samples.times / NS_PER_S + offset for r, offset in pairs]
    victim = next(v for v in result.findings.victims if v.victim is victim_of(policy))
    best = [score.metric for score in victim.scores if score.follows is None][:_TRACES]
    levels = {rule.metric: rule.raise_at for rule in victim.rules.rules}
    columns = [
        (
            metric,
            [r.samples.metrics.get(metric, np.full(len(r.samples.times), np.nan)) for r in own],
        )
        for metric in best
    ]
    kernel = result.findings.setting.kernel
    return TracePicture(
        title=f"{policy}, {own[0].phase.stressors} stressors, kernel {kernel}",
        shades=tuple(
            Shade(
                start=r.stressed / NS_PER_S + offset,
                end=r.ended / NS_PER_S + offset,
                label=r.phase.stress.value,
            )
            for r, offset in pairs
        ),
        traces=(
            _trace("activation latency [µs]", times, latency, logarithmic=True),
            *(_trace(_label(m), times, values, level=levels.get(m)) for m, values in columns),
        ),
    )


def _heaviest(recordings: Sequence[Recording], policy: Policy) -> list[Recording]:
    own = [recording for recording in recordings if recording.phase.policy is policy]
    most = max(recording.phase.stressors for recording in own)
    return [recording for recording in own if recording.phase.stressors == most]


def _jobs(recordings: Sequence[Recording]) -> list[tuple[str, Jobs]]:
    """Jobs by stress, the quiet ones first; a stress without any is left out."""
    found = [("none", quiet_jobs(recordings))]
    for stress in Stress:
        same = [recording for recording in recordings if recording.phase.stress is stress]
        if same:
            found.append((stress.value, stressed_jobs(same)))
    return [(label, jobs) for label, jobs in found if len(jobs.at)]


def _box(label: str, values: Array) -> Box:
    p1, p25, median, p75, p99 = (float(v) for v in np.percentile(values, (1, 25, 50, 75, 99)))
    return Box(label=label, p1=p1, p25=p25, median=median, p75=p75, p99=p99)


def _trace(
    label: str,
    times: Sequence[Array],
    values: Sequence[Array],
    *,
    level: float | None = None,
    logarithmic: bool = False,
) -> Trace:
    at, figures = np.concatenate(times), np.concatenate(values)
    known = ~np.isnan(figures)
    figures = np.maximum(1.0, figures) if logarithmic else figures
    thin_times, thin_values = thinned(at[known].tolist(), figures[known].tolist(), _MOST_POINTS)
    return Trace(
        label=label, times=thin_times, values=thin_values, level=level, logarithmic=logarithmic
    )


def _label(metric: Metric) -> str:
    return metric.value
