from dataclasses import replace

import numpy as np
import pytest

from k40s.assurance.metrics import Metric
from k40s.units import NS_PER_S
from tests.fakes.calibration_recordings import COOLDOWN, STRESS, phase_of, recording_of
from workbench.calibration.assurance.judgement.traces import build_traces, quiet_jobs, worst
from workbench.calibration.assurance.judgement.windows import Limits, cut_windows, harms, limits_of
from workbench.calibration.assurance.plan.rt_app import Jobs

LIMITS = Limits(latency=150.0, response=7000.0)


def jobs_of(latencies: list[float], slacks: list[float]) -> Jobs:
    return Jobs(
        at=np.arange(len(latencies), dtype=np.float64),
        latency=np.array(latencies),
        slack=np.array(slacks),
    )


@pytest.mark.parametrize(
    ("latencies", "slacks", "expected"),
    [
        ([50.0] * 50, [6000.0] * 50, False),
        ([50.0] * 48 + [900.0] * 2, [6000.0] * 50, False),
        ([50.0] * 45 + [900.0] * 5, [6000.0] * 50, True),
        ([50.0] * 50, [6000.0] * 45 + [2000.0] * 5, True),
        ([0.0] * 3, [-5000.0] * 3, True),
        ([], [], True),
    ],
)
def test_a_window_harms_where_one_in_twenty_jobs_is_late_or_slow_or_none_runs(
    latencies: list[float],
    slacks: list[float],
    expected: bool,
) -> None:
    assert harms(jobs_of(latencies, slacks), LIMITS) is expected


def test_a_missed_deadline_harms_however_restless_the_quiet_node_was() -> None:
    restless = Limits(latency=1e9, response=1e9)

    assert harms(jobs_of([50.0] * 10, [-1.0] * 10), restless)


def test_limits_are_one_and_a_half_times_the_99th_percentiles_of_the_quiet_jobs() -> None:
    recording = recording_of(phase_of(), late=9999.0)
    quiet = quiet_jobs([recording])

    limits = limits_of([recording])

    assert limits.latency == pytest.approx(1.5 * np.percentile(quiet.latency, 99))
    assert limits.response == pytest.approx(1.5 * np.percentile(10_000 - quiet.slack, 99))
    assert limits.latency < 90


def test_quiet_is_the_cooldown_without_its_first_quarter() -> None:
    recording = recording_of(phase_of())

    at = quiet_jobs([recording]).at

    assert at.min() >= COOLDOWN * NS_PER_S / 4
    assert at.max() < COOLDOWN * NS_PER_S


def test_windows_are_half_a_second_long_and_leave_the_onset_out() -> None:
    recording = recording_of(phase_of(), late=600.0)

    windows = cut_windows(recording, LIMITS)

    quiet = [window for window in windows if not window.stressed]
    stressed = [window for window in windows if window.stressed]
    assert len(quiet) == (COOLDOWN - COOLDOWN // 4) * 2 - 1
    assert len(stressed) == (STRESS - 1) * 2
    assert not any(window.harms for window in quiet)
    assert all(window.harms for window in stressed)
    assert all(window.metrics[Metric.CPU_SYSTEM] < 0.2 for window in quiet)
    assert all(window.metrics[Metric.CPU_SYSTEM] > 0.5 for window in stressed)


def test_a_window_of_which_time_was_stolen_is_marked() -> None:
    assert all(w.stolen for w in cut_windows(recording_of(phase_of(), steal=0.02), LIMITS))
    assert not any(w.stolen for w in cut_windows(recording_of(phase_of()), LIMITS))


def test_each_sample_has_the_worst_since_the_one_before() -> None:
    times, at = np.array([10.0, 20.0, 30.0]), np.array([5.0, 10.0, 11.0, 29.0, 31.0])

    found = worst(times, at, np.array([1.0, 2.0, 7.0, 3.0, 9.0]))

    assert found.tolist() == [2.0, 7.0, 3.0]


def test_a_sample_without_activation_has_the_next_one_for_which_the_task_waited() -> None:
    times = np.array([10.0, 20.0, 30.0, 40.0])

    assert worst(times, np.array([25.0]), np.array([4.0])).tolist() == [4.0, 4.0, 4.0, 4.0]
    assert worst(times, np.array([5.0, 50.0]), np.array([1.0, 8.0])).tolist() == [
        1.0,
        8.0,
        8.0,
        8.0,
    ]


def test_slack_becomes_a_loss_against_the_quiet_median() -> None:
    recording = recording_of(phase_of(), slow=2000.0)

    traces = build_traces([recording, recording])

    assert len(traces.latency) == 2 * len(recording.samples.times)
    quiet, stressed = traces.slack_loss[20:50], traces.slack_loss[70:100]
    assert quiet.max() < 20
    assert stressed.min() > 1900


def test_a_metric_that_the_kernel_lacks_is_left_out_and_a_gap_is_closed() -> None:
    recording = recording_of(phase_of())
    gap = recording.samples.metrics[Metric.CPU_SYSTEM].copy()
    gap[[0, 5]] = np.nan
    gone = np.full(len(gap), np.nan)

    samples = replace(recording.samples, metrics={Metric.CPU_SYSTEM: gap, Metric.LOAD: gone})

    traces = build_traces([replace(recording, samples=samples)])

    assert traces.missing == (Metric.LOAD,)
    assert traces.metrics[Metric.CPU_SYSTEM][0] == gap[1]
    assert traces.metrics[Metric.CPU_SYSTEM][5] == gap[4]
