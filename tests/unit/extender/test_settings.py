"""Settings that the extender could not serve with are refused before it begins."""

import pytest

from extender.settings import ExtenderSettings
from k40s.criticality import Criticality
from k40s.runtime.settings import SettingsError, read_settings


@pytest.mark.parametrize("count", ["0", "-1", "257", "100000000"])
def test_the_number_of_threads_is_bounded(count: str) -> None:
    with pytest.raises(SettingsError, match=f"K40S_THREADS: found {count}, expected 1 to 256"):
        read_settings(ExtenderSettings, {"K40S_THREADS": count})


@pytest.mark.parametrize("name", ["K40S_RESERVE_TIMEOUT", "K40S_BIND_TIMEOUT"])
def test_a_call_that_gets_no_time_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings(ExtenderSettings, {name: "0s"})


@pytest.mark.parametrize("text", ["HI", "HI=", "HIGH=kata", "HI=kata,HI=runc", "HI=Kata", "=kata"])
def test_a_mapping_to_runtime_classes_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="K40S_RUNTIME_CLASSES"):
        read_settings(ExtenderSettings, {"K40S_RUNTIME_CLASSES": text})


def test_criticalities_are_mapped_to_runtime_classes() -> None:
    settings = read_settings(ExtenderSettings, {"K40S_RUNTIME_CLASSES": "HI=kata, LOW=runc"})

    assert settings.classes == {Criticality.HI: "kata", Criticality.LOW: "runc"}
    assert not read_settings(ExtenderSettings, {}).classes
