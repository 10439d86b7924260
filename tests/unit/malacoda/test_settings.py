import ast
import itertools
from dataclasses import fields
from pathlib import Path

import pytest

from daemons.malacoda.settings import Settings
from k40s.assurance.detector import DEFAULT_RULES
from k40s.assurance.gamma import GammaPolicy
from k40s.assurance.level import DEFAULT_THRESHOLDS
from k40s.assurance.metrics import Metric
from k40s.runtime.settings import SettingsError, read_settings


def test_only_the_nodes_name_is_needed() -> None:
    settings = read_settings(Settings, {"K40S_NODE_NAME": "edge-1"})

    assert settings.rules == DEFAULT_RULES
    assert settings.policy == GammaPolicy()
    assert settings.thresholds == DEFAULT_THRESHOLDS


def test_everything_can_be_chosen() -> None:
    settings = read_settings(
        Settings,
        {
            "K40S_NODE_NAME": "edge-1",
            "K40S_CPUS": "1,3-4",
            "K40S_SAMPLING_PERIOD": "250ms",
            "K40S_SYSTEM_RAISE": "0.6",
            "K40S_SYSTEM_TREND": "0",
            "K40S_STEAL_RAISE": "1/10",
            "K40S_ALARM_HOLD": "2s",
            "K40S_GAMMA_RAISE_STEP": "10",
        },
    )

    system, _queue, steal = settings.rules
    assert (system.raise_at, system.trend) == (0.6, None)
    assert (steal.metric, steal.raise_at, steal.clear_at) == (Metric.CPU_STEAL, 0.1, 0.05)
    assert settings.cpus == (1, 3, 4)
    assert settings.policy.raise_step == 10


@pytest.mark.parametrize(
    ("name", "text", "trouble"),
    [
        ("SAMPLING_PERIOD", "50ms", "at least 100ms"),
        ("SAMPLING_PERIOD", "500", "a duration with a unit"),
        ("HARDWARE_ASSURANCE", "6", "0 to 5"),
        ("LEASE", "10ms", "at least 1s"),
        ("SYSTEM_CLEAR", "0.9", "clear_at <= raise_at"),
        ("ALARM_VOTES", "9", "votes <= window"),
        ("GAMMA_LOWER_STEP", "0", "steps of 1 to 10"),
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
