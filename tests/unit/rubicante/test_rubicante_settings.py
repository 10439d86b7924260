import os
from fractions import Fraction
from pathlib import Path

import pytest

from daemons.rubicante import __main__ as program
from daemons.rubicante.settings import Groups, Settings
from k40s.cpu.model import Packing
from k40s.cpu.outcome import ADMISSION_TEST
from k40s.runtime.settings import SettingsError, read_settings
from k40s.units import NS_PER_S


def test_settings_come_from_the_environment() -> None:
    environ = {
        "K40S_NODE_NAME": "edge-1",
        "K40S_POD_IP": "fd00::1",
        "K40S_CPUS": "1-2",
        "K40S_RT_CAPACITY": "0.45",
        "K40S_LEASE": "15s",
        "K40S_CPU_CGROUP_PATH": "/host/cpu",
    }

    settings = read_settings(Settings, environ)

    assert settings.endpoint == "https://[fd00::1]:8441"
    assert settings.cpus == (1, 2)
    assert settings.rt_capacity == Fraction(45, 100)
    assert settings.lease == 15 * NS_PER_S
    assert settings.cpu_cgroup_path == Path("/host/cpu")
    assert settings.tick is None
    assert settings.admission_test == ADMISSION_TEST
    assert settings.groups is Groups.SHARED


def test_choices_are_read_by_their_names() -> None:
    environ = {"K40S_NODE_NAME": "n", "K40S_POD_IP": "10.0.0.1", "K40S_CPUS": "1"}
    chosen = {
        "K40S_GROUPS": "own",
        "K40S_PACKING": "worst-fit",
        "K40S_MECHANISMS": "deadline",
        "K40S_LOAD_BALANCE_OFF": "true",
    }

    settings = read_settings(Settings, environ | chosen)

    assert (settings.groups, settings.packing) == (Groups.OWN, Packing.WORST_FIT)
    assert (settings.mechanisms, settings.load_balance_off) == (("deadline",), True)


def test_a_choice_that_there_is_not_is_reported_with_those_that_there_are() -> None:
    environ = {"K40S_NODE_NAME": "n", "K40S_POD_IP": "10.0.0.1", "K40S_CPUS": "1"}

    with pytest.raises(SettingsError, match='"shared" or "own"'):
        read_settings(Settings, environ | {"K40S_GROUPS": "some"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEASE", "1ms"),
        ("RT_CAPACITY", "-1"),
        ("CORE_CAPACITY", "2"),
        ("MECHANISMS", "rt-cgroup,magic"),
        ("RESERVATION_LEASE", "1"),
    ],
)
def test_settings_that_make_no_sense_are_reported(name: str, value: str) -> None:
    environ = {"K40S_NODE_NAME": "n", "K40S_POD_IP": "10.0.0.1", "K40S_CPUS": "1"}

    with pytest.raises(SettingsError, match=name):
        read_settings(Settings, environ | {f"K40S_{name}": value})


def test_the_program_ends_with_the_text_of_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in os.environ if name.startswith("K40S_")]:
        monkeypatch.delenv(name)

    with pytest.raises(SystemExit, match="K40S_CPUS: not set"):
        program.main()
