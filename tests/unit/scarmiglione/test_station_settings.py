"""Settings of the network daemon."""

import pytest

from daemons.scarmiglione.settings import NetworkBackEnd, Settings
from k40s.runtime.settings import SettingsError, read_settings

NEEDED = {"K40S_NODE_NAME": "edge-1", "K40S_POD_IP": "fd00::1"}


def test_settings_of_a_station_come_from_the_environment() -> None:
    settings = read_settings(Settings, {**NEEDED, "K40S_NETWORK_BACK_END": "taprio"})

    assert settings.endpoint == "https://[fd00::1]:8447"
    assert settings.network_back_end is NetworkBackEnd.TAPRIO
    assert settings.tdma_last_slot == 7


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("K40S_POD_IP", "::"),
        ("K40S_NETWORK_BACK_END", "rtnet"),
        ("K40S_TDMA_LAST_SLOT", "1"),
        ("K40S_RESERVATION_LEASE", "1ms"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_their_name(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings(Settings, {**NEEDED, name: text})
