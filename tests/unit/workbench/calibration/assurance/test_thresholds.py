from itertools import product

import numpy as np
import pytest

from k40s.assurance.metrics import Metric
from tests.fakes.calibration_recordings import phase_of
from workbench.calibration.assurance.judgement.thresholds import PRECISION, choose_rules, fit, judge
from workbench.calibration.assurance.judgement.windows import LENGTH, Window
from workbench.calibration.assurance.plan.experiment import Policy, Stress


def window_of(
    number: int, *, harms: bool, stolen: bool = False, repetition: int = 1, **metrics: float
) -> Window:
    return Window(
        phase=phase_of(Stress.OPEN, policy=Policy.FIFO, repetition=repetition),
        number=number,
        end=(number + 1) * LENGTH,
        stressed=harms,
        harms=harms,
        stolen=stolen,
        metrics={Metric[name]: value for name, value in metrics.items()},
    )


def test_fit_finds_what_trying_every_value_finds() -> None:
    random = np.random.default_rng(1)
    for _ in range(200):
        values = random.integers(0, 12, random.integers(2, 40)).astype(np.float64)
        harmful = random.random(len(values)) < random.uniform(0.1, 0.9)

        found = fit(values, harmful)

        tried = {cut: judge(values >= cut, harmful) for cut in sorted(set(values.tolist()))[1:]}
        good = [q.recall for q in tried.values() if q.precision >= PRECISION]
        if found is None:
            assert not harmful.any() or not tried
        elif good:
            quality = judge(values >= found, harmful)
            assert quality.precision >= PRECISION
            assert quality.recall == pytest.approx(max(good))
        else:
            assert judge(values >= found, harmful).precision < PRECISION


def test_constant_values_and_unharmed_windows_give_no_threshold() -> None:
    assert fit(np.ones(20), np.arange(20) > 10) is None
    assert fit(np.arange(20.0), np.zeros(20, dtype=np.bool_)) is None


def test_the_clearing_value_lies_between_the_usual_and_the_raising_value() -> None:
    windows = [window_of(n, harms=n < 30, CPU_SYSTEM=0.7 if n < 30 else 0.1) for n in range(60)]

    (rule,) = choose_rules(windows, [Metric.CPU_SYSTEM], least=lambda _: 1e-6).rules

    assert rule.raise_at == 0.4
    assert rule.clear_at == 0.25


def test_a_threshold_is_no_smaller_than_its_unit_allows() -> None:
    windows = [window_of(n, harms=n > 30, RUN_QUEUE=0.5 if n > 30 else 0.1) for n in range(60)]

    (tried,) = choose_rules(windows, [Metric.RUN_QUEUE], least=lambda _: 1.0).tried

    assert (tried.raise_at, tried.clear_at) == (1.0, 1.0)
    assert tried.quality.recall == 0


def test_a_metric_that_cries_wolf_is_no_rule_and_one_that_adds_nothing_neither() -> None:
    windows = [
        window_of(
            n,
            harms=n % 3 == 0,
            CPU_SYSTEM=1.0 if n % 3 == 0 else 0.1,
            CPU_USER=0.9 if n % 3 == 0 else 0.2,
            RUN_QUEUE=9.0 if n % 3 < 2 else 1.0,
        )
        for n in range(90)
    ]
    order = [Metric.RUN_QUEUE, Metric.CPU_SYSTEM, Metric.CPU_USER]

    found = choose_rules(windows, order, least=lambda _: 1e-6)

    assert [rule.metric for rule in found.rules] == [Metric.CPU_SYSTEM]
    assert [rule.metric for rule in found.tried] == order
    assert found.tried[0].quality.precision == pytest.approx(0.5)
    assert (found.together.precision, found.together.recall) == (1.0, 1.0)


def test_a_second_rule_finds_what_the_first_does_not() -> None:
    windows = [
        window_of(
            n,
            harms=n < 60,
            SOFTIRQ_RCU=900.0 if n < 30 else 50.0,
            FORKS=5000.0 if 30 <= n < 60 else 3.0,
        )
        for n in range(120)
    ]

    found = choose_rules(windows, [Metric.SOFTIRQ_RCU, Metric.FORKS], least=lambda _: 1e-6)

    assert [rule.metric for rule in found.rules] == [Metric.SOFTIRQ_RCU, Metric.FORKS]
    assert [rule.quality.recall for rule in found.rules] == [0.5, 0.5]
    assert found.together.recall == 1.0


@pytest.mark.parametrize("harmful", [3, 57])
def test_too_few_windows_of_one_kind_teach_nothing(harmful: int) -> None:
    windows = [window_of(n, harms=n < harmful, CPU_SYSTEM=float(n < harmful)) for n in range(60)]

    found = choose_rules(windows, [Metric.CPU_SYSTEM], least=lambda _: 1e-6)

    assert found.rules == found.tried == ()
    assert (found.harmful, found.windows) == (harmful, 60)


def test_windows_with_stolen_time_are_not_judged() -> None:
    windows = [
        window_of(n, harms=n % 2 == 0, stolen=n >= 40, CPU_SYSTEM=float(n % 2)) for n in range(60)
    ]

    assert choose_rules(windows, [], least=lambda _: 1e-6).windows == 40


def test_quality_is_of_windows_that_were_not_fitted_to() -> None:
    """Each repetition is separable, and both together; but neither by the other's threshold."""
    levels = {(1, True): 0.9, (1, False): 0.1, (2, True): 0.3, (2, False): 0.2}
    windows = [
        window_of(n, harms=harms, repetition=repetition, CPU_SYSTEM=levels[repetition, harms])
        for n, (repetition, harms) in enumerate(product((1, 2), [True, False] * 15))
    ]

    (tried,) = choose_rules(windows, [Metric.CPU_SYSTEM], least=lambda _: 1e-6).tried

    assert tried.raise_at == 0.25
    assert (tried.quality.precision, tried.quality.recall) == (1.0, 0.5)
    assert tried.quality.windows == 60
