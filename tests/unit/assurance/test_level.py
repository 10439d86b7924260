import pytest

from k40s.assurance import Thresholds, assurance_class, fitness
from k40s.criticality import Criticality


@pytest.mark.parametrize(
    ("level", "fit_for"),
    [(0, "NO"), (6, "NO"), (7, "LOW"), (13, "LOW"), (14, "HI"), (20, "HI")],
)
def test_a_node_is_fit_for_low_from_7_and_for_hi_from_14(level: int, fit_for: str) -> None:
    highest = Criticality[fit_for]

    assert assurance_class(level) is highest
    assert [fitness(level, c) for c in Criticality] == [c <= highest for c in Criticality]


def test_thresholds_can_be_chosen() -> None:
    strict = Thresholds(low=10, high=18)

    assert assurance_class(17, strict) is Criticality.LOW
    assert strict.required(Criticality.NO) == 0


@pytest.mark.parametrize(("low", "high"), [(15, 14), (-1, 14), (7, 21)])
def test_thresholds_that_cannot_be_are_refused(low: int, high: int) -> None:
    with pytest.raises(ValueError, match="0 <= low <= high <= 20"):
        Thresholds(low=low, high=high)
