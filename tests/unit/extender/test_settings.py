"""Settings that the extender could not serve with are refused before it begins."""

import pytest

from extender.settings import ExtenderSettings
from k40s.runtime.settings import SettingsError, read_settings


@pytest.mark.parametrize("count", ["0", "-1", "257", "100000000"])
def test_the_number_of_threads_is_bounded(count: str) -> None:
    with pytest.raises(SettingsError, match=f"K40S_THREADS: found {count}, expected 1 to 256"):
        read_settings(ExtenderSettings, {"K40S_THREADS": count})


@pytest.mark.parametrize("name", ["K40S_RESERVE_TIMEOUT", "K40S_BIND_TIMEOUT"])
def test_a_call_that_gets_no_time_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings(ExtenderSettings, {name: "0s"})
