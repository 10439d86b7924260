import pytest

from k40s.criticality import Criticality, parse_criticality


def test_criticalities_are_ordered() -> None:
    assert Criticality.HI > Criticality.LOW > Criticality.NO


@pytest.mark.parametrize("criticality", list(Criticality))
def test_reads_each_criticality_by_its_name(criticality: Criticality) -> None:
    assert criticality is parse_criticality(criticality.name)


@pytest.mark.parametrize("text", ["", "hi", "High", "LO", "2"])
def test_a_misspelt_criticality_is_refused_with_the_valid_ones(text: str) -> None:
    with pytest.raises(ValueError, match='"NO", "LOW", "HI"'):
        parse_criticality(text)
