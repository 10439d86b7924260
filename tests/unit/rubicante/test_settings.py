import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from daemons.rubicante import __main__ as program
from daemons.rubicante.api.app import MAX_READ
from daemons.rubicante.settings import Groups, Settings
from k40s.annotations import format_cpu_state, parse_cpu_state
from k40s.cpu.model import Packing, Server
from k40s.cpu.outcome import ADMISSION_TEST
from k40s.runtime.settings import SettingsError, read_settings
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from tests.fakes.extender.world import make_cpu_state


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


def test_the_room_for_hi_is_a_wcet_in_a_period_or_none() -> None:
    environ = {"K40S_NODE_NAME": "n", "K40S_POD_IP": "10.0.0.1", "K40S_CPUS": "1"}

    default, other, none = (
        read_settings(Settings, environ | changes).reserve
        for changes in ({}, {"K40S_HI_RESERVE": "1.5ms/10ms"}, {"K40S_HI_RESERVE": "none"})
    )

    assert default == Server(budget=Nanoseconds(20 * NS_PER_MS), period=Nanoseconds(NS_PER_S // 10))
    assert other == Server(budget=Nanoseconds(1_500_000), period=Nanoseconds(10 * NS_PER_MS))
    assert none is None


@pytest.mark.parametrize("micro", ["u", "\N{MICRO SIGN}", "\N{GREEK SMALL LETTER MU}"])
def test_the_room_for_hi_may_be_written_with_either_letter_mu(micro: str) -> None:
    environ = {"K40S_NODE_NAME": "n", "K40S_POD_IP": "10.0.0.1", "K40S_CPUS": "1"}

    read = read_settings(Settings, environ | {"K40S_HI_RESERVE": f"50{micro}s/500{micro}s"})

    assert read.reserve == Server(budget=Nanoseconds(50_000), period=Nanoseconds(500_000))


@pytest.mark.parametrize(
    "text",
    [
        "20ms",
        "0.2",
        "20ms/",
        "/1s",
        "1ms/10ms/20ms",
        "0ms/1s",
        "200ms/100ms",
        "1ms/2h",
        "1us/50us",
        "off",
    ],
)
def test_a_room_for_hi_that_cannot_be_is_refused_with_its_form(text: str) -> None:
    environ = {"K40S_NODE_NAME": "n", "K40S_POD_IP": "10.0.0.1", "K40S_CPUS": "1"}

    with pytest.raises(SettingsError, match=rf'K40S_HI_RESERVE: found \'{text}\', expected "none"'):
        read_settings(Settings, environ | {"K40S_HI_RESERVE": text})


def test_choices_are_read_by_their_names() -> None:
    environ = {"K40S_NODE_NAME": "n", "K40S_POD_IP": "10.0.0.1", "K40S_CPUS": "1"}
    chosen = {
        "K40S_GROUPS": "container",
        "K40S_PACKING": "worst-fit",
        "K40S_MECHANISMS": "deadline",
        "K40S_LOAD_BALANCE_OFF": "true",
    }

    settings = read_settings(Settings, environ | chosen)

    assert (settings.groups, settings.packing) == (Groups.CONTAINER, Packing.WORST_FIT)
    assert (settings.mechanisms, settings.load_balance_off) == (("deadline",), True)


def test_a_choice_that_there_is_not_is_reported_with_those_that_there_are() -> None:
    environ = {"K40S_NODE_NAME": "n", "K40S_POD_IP": "10.0.0.1", "K40S_CPUS": "1"}

    with pytest.raises(SettingsError, match='"shared" or "container"'):
        read_settings(Settings, environ | {"K40S_GROUPS": "some"})


def test_the_setting_that_is_gone_is_answered_with_one_line_of_what_there_is() -> None:
    environ = {"K40S_NODE_NAME": "n", "K40S_POD_IP": "10.0.0.1", "K40S_CPUS": "1"}

    with pytest.raises(SettingsError) as caught:
        read_settings(Settings, environ | {"K40S_GROUPS": "own"})

    line = 'K40S_GROUPS: found \'own\', expected "shared" or "container"'
    assert caught.value.problems == (line,)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEASE", "1ms"),
        ("RT_CAPACITY", "-1"),
        ("CORE_CAPACITY", "2"),
        ("MECHANISMS", "rt-cgroup,magic"),
        ("RESERVATION_LEASE", "1"),
        ("CGROUP_ROOT", "/a/../b"),
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


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("10.0.0.1", "https://10.0.0.1:8441"),
        ("[fd00::1]", "https://[fd00::1]:8441"),
        ("FD00::0:1", "https://[fd00::1]:8441"),
        ("edge-1.example.org", "https://edge-1.example.org:8441"),
    ],
)
def test_the_published_endpoint_is_one_that_the_extender_reads(address: str, endpoint: str) -> None:
    environ = {"K40S_NODE_NAME": "n", "K40S_POD_IP": address, "K40S_CPUS": "1"}
    settings = read_settings(Settings, environ)
    state = replace(make_cpu_state(), endpoint=settings.endpoint)

    assert settings.endpoint == endpoint
    assert parse_cpu_state(format_cpu_state(state)).endpoint == endpoint


@pytest.mark.parametrize("address", ["fe80::1%eth0", "::", "[::]", "1.2.3", "10.0.0.1:8441"])
def test_refuses_an_address_at_which_nobody_reaches_the_pod(address: str) -> None:
    environ = {"K40S_NODE_NAME": "n", "K40S_POD_IP": address, "K40S_CPUS": "1"}

    with pytest.raises(SettingsError, match=r"^K40S_POD_IP: found .*, expected "):
        read_settings(Settings, environ)


def test_the_server_reads_as_much_of_a_body_as_the_application() -> None:
    assert program.MAX_BODY == MAX_READ
