import pytest

from k40s.criticality import Criticality
from k40s.runtime_classes import parse_runtime_classes


def test_maps_each_named_criticality_to_its_class() -> None:
    found = parse_runtime_classes(("HI=kata", "LOW = runc"))

    assert found == {Criticality.HI: "kata", Criticality.LOW: "runc"}


def test_nothing_named_maps_nothing() -> None:
    assert parse_runtime_classes(()) == {}


@pytest.mark.parametrize(
    "pairs", [("HI",), ("HI=",), ("hi=kata",), ("HI=Kata",), ("HI=kata", "HI=runc"), ("=kata",)]
)
def test_refuses_what_is_no_mapping_and_names_the_setting(pairs: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="K40S_RUNTIME_CLASSES: found"):
        parse_runtime_classes(pairs)
