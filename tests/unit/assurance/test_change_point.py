import pytest

from k40s.assurance.change_point import LEAST_SAMPLES, Cusum, accumulate

TEST = Cusum(reference=0.5, decision=0.2)


def after(*values: float) -> float:
    total = 0.0
    for value in values:
        total = accumulate(total, TEST, value)
    return total


def test_what_exceeds_the_reference_is_summed_up() -> None:
    assert after(0.55, 0.53) == pytest.approx(0.08)


def test_what_falls_short_of_it_is_taken_off_but_never_below_zero() -> None:
    assert after(0.55, 0.48) == pytest.approx(0.03)
    assert after(0.55, 0.1) == 0.0


def test_a_single_sample_however_high_decides_nothing() -> None:
    assert after(1e9) == TEST.decision / LEAST_SAMPLES
    assert after(1e9, 1e9) == TEST.decision


def test_it_forgets_a_long_excess_at_once() -> None:
    assert after(*[1.0] * 100, 0.3) == pytest.approx(0.0)


@pytest.mark.parametrize(("reference", "decision"), [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0)])
def test_a_test_without_a_positive_reference_and_decision_is_no_value(
    reference: float, decision: float
) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Cusum(reference=reference, decision=decision)
