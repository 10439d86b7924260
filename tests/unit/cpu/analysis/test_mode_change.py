import pytest

from k40s.cpu.analysis.mode_change import longest_blackout


@pytest.mark.parametrize(
    ("before", "after", "tick", "expected"),
    [
        ((10, 100), (10, 100), 0, 200),
        ((10, 100), (20, 100), 0, 200),
        ((20, 100), (10, 100), 0, 300),
        ((20, 100), (10, 100), 1, 400),
        ((20, 100), (10, 50), 1, 250),
    ],
)
def test_the_old_period_and_the_payment_of_the_old_debt(
    before: tuple[int, int], after: tuple[int, int], tick: int, expected: int
) -> None:
    assert longest_blackout(before, after, tick) == expected
