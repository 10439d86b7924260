import ast
import itertools
from dataclasses import fields
from fractions import Fraction
from pathlib import Path

import pytest

from daemons.malacoda.settings import Settings
from k40s.assurance.gamma import GammaPolicy
from k40s.assurance.level import DEFAULT_THRESHOLDS
from k40s.assurance.response.acts import Step
from k40s.assurance.response.policy import ResponsePolicy
from k40s.runtime.settings import SettingsError, read_settings
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds


def test_only_the_nodes_name_is_needed() -> None:
    settings = read_settings(Settings, {"K40S_NODE_NAME": "edge-1"})

    assert settings.profile_path is None
    assert settings.policy == GammaPolicy(timeout=Nanoseconds(NS_PER_S))
    assert settings.thresholds == DEFAULT_THRESHOLDS


def test_everything_can_be_chosen() -> None:
    settings = read_settings(
        Settings,
        {
            "K40S_NODE_NAME": "edge-1",
            "K40S_CPUS": "1,3-4",
            "K40S_SAMPLING_PERIOD": "250ms",
            "K40S_PROFILE_PATH": "/etc/k40s/profiles",
            "K40S_GAMMA_TIMEOUT": "4s",
            "K40S_GAMMA_ALARM": "2",
            "K40S_GAMMA_QUIET": "10s",
            "K40S_GAMMA_LONGEST_QUIET": "3600s",
        },
    )

    assert settings.sampling_period == 250 * NS_PER_MS
    assert settings.profile_path == Path("/etc/k40s/profiles")
    assert settings.cpus == (1, 3, 4)
    policy = settings.policy
    assert (policy.timeout, policy.quiet) == (4 * NS_PER_S, 10 * NS_PER_S)
    assert policy.longest_quiet == policy.forgiven == 3600 * NS_PER_S
    assert (policy.alarm, policy.harmed, policy.missed) == (2, 2, 0)


@pytest.mark.parametrize(
    ("name", "text", "trouble"),
    [
        ("SAMPLING_PERIOD", "50ms", "at least 100ms"),
        ("SAMPLING_PERIOD", "500", "a duration with a unit"),
        ("HARDWARE_ASSURANCE", "6", "0 to 5"),
        ("LEASE", "10ms", "at least 1s"),
        ("CULPRIT", "stop", '"off" or "name" or "throttle" or "move" or "freeze"'),
        ("SAMPLING_PERIOD", "3s", "at most 2s"),
        ("SYSTEM_RAISE", "0.6", "K40S_SYSTEM_RAISE: not a setting of any process"),
        ("GAMMA_ALARM", "10", "K40S_GAMMA_ALARM lies in 0 to 9"),
        ("GAMMA_QUIET", "1000s", "K40S_GAMMA_QUIET is at most K40S_GAMMA_LONGEST_QUIET"),
        ("LOW_THRESHOLD", "15", "low <= high"),
    ],
)
def test_a_bad_variable_is_refused_with_what_would_be_right(
    name: str, text: str, trouble: str
) -> None:
    with pytest.raises(SettingsError, match=trouble):
        read_settings(Settings, {"K40S_NODE_NAME": "edge-1", f"K40S_{name}": text})


def test_every_field_has_its_docstring() -> None:
    tree = ast.parse(Path("daemons/malacoda/settings.py").read_text(encoding="utf-8"))
    (body,) = (n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Settings")
    documented = {
        field.target.id
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
    }

    assert documented == {field.name for field in fields(Settings)}


@pytest.mark.parametrize(
    ("mode", "steps"),
    [
        ("off", []),
        ("name", []),
        ("throttle", [Step.QUOTA]),
        ("move", [Step.QUOTA, Step.MOVE]),
        ("freeze", [Step.QUOTA, Step.MOVE, Step.FREEZE]),
        ("evict", [Step.QUOTA, Step.MOVE, Step.FREEZE, Step.EVICT]),
        ("kill", list(Step)),
    ],
)
def test_the_mode_says_which_steps_there_are(mode: str, steps: list[Step]) -> None:
    settings = read_settings(Settings, {"K40S_NODE_NAME": "edge-1", "K40S_CULPRIT": mode})

    assert [rung.step for rung in settings.response.rungs] == steps
    assert settings.culprit.steps == set(steps)


def test_the_operator_says_what_a_throttled_pod_keeps() -> None:
    node = {"K40S_NODE_NAME": "edge-1"}

    assert read_settings(Settings, node).response.quota == ResponsePolicy().quota
    kept = read_settings(Settings, {**node, "K40S_CULPRIT_QUOTA": "0.02"}).response
    assert kept.quota == Fraction(1, 50)
    for text in ("0", "0.009", "1.1"):
        with pytest.raises(SettingsError, match=r"K40S_CULPRIT_QUOTA lies in 0\.01 to 1"):
            read_settings(Settings, {**node, "K40S_CULPRIT_QUOTA": text})


def test_a_monitor_that_acts_speaks_more_often_than_the_actuator_waits() -> None:
    slow = {
        "K40S_NODE_NAME": "edge-1",
        "K40S_SAMPLING_PERIOD": "2s",
        "K40S_ACTUATOR_SILENCE": "3s",
    }
    assert read_settings(Settings, slow).response.rungs == ()

    with pytest.raises(SettingsError, match="at least twice K40S_SAMPLING_PERIOD"):
        read_settings(Settings, {**slow, "K40S_CULPRIT": "throttle"})


def test_gamma_waits_longer_where_something_acts_on_the_culprit() -> None:
    throttling = {"K40S_NODE_NAME": "edge-1", "K40S_CULPRIT": "throttle"}

    assert read_settings(Settings, throttling).policy.timeout == GammaPolicy().timeout
    assert read_settings(Settings, {"K40S_NODE_NAME": "edge-1"}).policy.timeout == NS_PER_S
