"""Scores of metrics agree with plain loops, and depend on a trace's shape alone."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from k40s.assurance.metrics import Metric
from tests.oracles import metric_scoring as oracle
from workbench.calibration.assurance.judgement.scoring import (
    EQUAL_WEIGHTS,
    FILTER_SAMPLES,
    HIGHLY_CORRELATED,
    cross_correlation,
    emphasize,
    max_filter,
    pearson,
    score_metrics,
)
from workbench.calibration.assurance.plan.rt_app import Array

VALUES = st.floats(0, 1e6, allow_nan=False, allow_subnormal=False).map(lambda v: round(v, 3))
LENGTH = st.shared(st.integers(3, 130), key="length")
TRACES = LENGTH.flatmap(lambda n: st.lists(VALUES, min_size=n, max_size=n))
METRICS = st.sampled_from([*Metric])


def array(values: list[float]) -> Array:
    return np.array(values, dtype=np.float64)


@given(trace=TRACES, window=st.integers(1, 60))
def test_the_max_filter_is_the_largest_of_the_window(trace: list[float], window: int) -> None:
    found = max_filter(array(trace), window)

    back = window // 2
    for index, value in enumerate(found):
        assert value == max(trace[max(0, index - back) : index - back + window])


@given(trace=TRACES)
def test_emphasis_agrees_with_plain_loops(trace: list[float]) -> None:
    found = emphasize(array(trace))

    assert found == pytest.approx(oracle.emphasized(trace, FILTER_SAMPLES), rel=1e-9, abs=1e-30)


@given(one=TRACES, other=TRACES, lags=st.integers(0, 60))
def test_cross_correlation_agrees_with_plain_loops(
    one: list[float], other: list[float], lags: int
) -> None:
    found = cross_correlation(array(one), array(other), lags=lags)

    assert found == pytest.approx(oracle.correlation_peak(one, other, lags), rel=1e-9, abs=1e-12)
    assert found == pytest.approx(cross_correlation(array(other), array(one), lags=lags))
    assert 0 <= found <= 1 + 1e-9


@given(traces=st.lists(TRACES, min_size=3, max_size=5))
def test_scores_and_what_is_dropped_agree_with_plain_loops(traces: list[list[float]]) -> None:
    latency, slack_loss, *rest = traces
    metrics = dict(zip(Metric, map(array, rest), strict=False))

    found = score_metrics(metrics, latency=array(latency), slack_loss=array(slack_loss))

    plain = {metric: trace.tolist() for metric, trace in metrics.items()}
    for one in found:
        expected = oracle.score(
            plain[one.metric],
            [latency, slack_loss],
            list(EQUAL_WEIGHTS),
            window=FILTER_SAMPLES,
            lags=FILTER_SAMPLES,
        )
        assert one.score == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    kept: list[Metric] = []
    for one in found:
        near = [abs(oracle.coefficient(plain[m], plain[one.metric])) for m in kept]
        assume(all(abs(value - HIGHLY_CORRELATED) > 1e-9 for value in near))
        assert (one.follows is None) == all(value < HIGHLY_CORRELATED for value in near)
        if one.follows is None:
            kept.append(one.metric)


@given(trace=TRACES, target=TRACES, scale=st.floats(1e-6, 1e6))
def test_scores_do_not_depend_on_units(
    trace: list[float], target: list[float], scale: float
) -> None:
    usual = score_metrics(
        {Metric.LOAD: array(trace)}, latency=array(target), slack_loss=array(target)
    )
    scaled = score_metrics(
        {Metric.LOAD: scale * array(trace)}, latency=array(target), slack_loss=array(target)
    )

    assert scaled[0].score == pytest.approx(usual[0].score, rel=1e-9, abs=1e-12)


@given(traces=st.lists(TRACES, min_size=2, max_size=6))
def test_a_metric_equal_to_the_target_scores_best(traces: list[list[float]]) -> None:
    target, *rest = traces
    assume(any(target))
    metrics = {Metric.LOAD: array(target)}
    metrics |= dict(
        zip((m for m in Metric if m is not Metric.LOAD), map(array, rest), strict=False)
    )

    found = score_metrics(metrics, latency=array(target), slack_loss=array(target))

    best = next(one for one in found if one.metric is Metric.LOAD)
    assert best.score == pytest.approx(1.0)
    assert all(one.score <= best.score + 1e-9 for one in found)


@given(traces=st.lists(TRACES, min_size=4, max_size=7), order=st.randoms(use_true_random=False))
def test_the_order_of_metrics_makes_no_difference(
    traces: list[list[float]], order: "object"
) -> None:
    latency, slack_loss, *rest = map(array, traces)
    pairs = list(zip(Metric, rest, strict=False))
    shuffled = pairs.copy()
    order.shuffle(shuffled)  # type: ignore[attr-defined]  # random.Random, as hypothesis makes it

    one = score_metrics(dict(pairs), latency=latency, slack_loss=slack_loss)
    other = score_metrics(dict(shuffled), latency=latency, slack_loss=slack_loss)

    assert one == other


@given(one=TRACES, other=TRACES)
def test_correlation_of_two_metrics_agrees_with_the_definition(
    one: list[float], other: list[float]
) -> None:
    # Where a trace is constant but for rounding, both are noise.
    assume(all(max(t) - min(t) > 1e-3 or max(t) == min(t) for t in (one, other)))

    found = pearson(array(one), array(other))

    assert math.isclose(found, oracle.coefficient(one, other), rel_tol=1e-6, abs_tol=1e-6)
