from pathlib import Path

import pytest

from controller.preemption_rules.policy import PreemptionPolicy
from controller.settings import ControllerSettings
from k40s.assurance.eviction import EvictionPolicy
from k40s.assurance.level import Thresholds
from k40s.assurance.migration.policy import MigrationPolicy
from k40s.runtime.settings import SettingsError, read_settings
from k40s.units import NS_PER_S


def test_nothing_has_to_be_set_and_the_limits_are_the_plans() -> None:
    settings = read_settings(ControllerSettings, {})

    assert settings.policy == MigrationPolicy()
    assert settings.preemption_policy == PreemptionPolicy()
    assert settings.preemption
    assert not settings.dry_run


def test_everything_can_be_chosen() -> None:
    settings = read_settings(
        ControllerSettings,
        {
            "K40S_DRY_RUN": "true",
            "K40S_MIGRATION_HOLD_OFF": "0s",
            "K40S_MIGRATIONS_PER_HOUR": "3",
            "K40S_MIGRATIONS_PER_NAMESPACE": "2",
            "K40S_EVICT_CULPRITS": "true",
            "K40S_EVICTIONS_PER_HOUR": "4",
            "K40S_MIGRATION_REST": "7200s",
            "K40S_HIGH_THRESHOLD": "15",
            "K40S_CLIENT_TLS_DIRECTORY": "/tls",
        },
    )

    assert settings.policy == MigrationPolicy(
        thresholds=Thresholds(high=15),
        hold_off=0,
        per_hour=3,
        per_namespace=2,
        rest=7200 * NS_PER_S,
    )
    assert settings.eviction == EvictionPolicy(enabled=True, per_hour=4)
    assert (settings.dry_run, settings.client_tls_directory) == (True, Path("/tls"))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MIGRATIONS_PER_HOUR", "0", "found 0, expected 1 to 60"),
        ("EVICTIONS_PER_HOUR", "61", "found 61, expected 1 to 60"),
        ("MIGRATIONS_PER_NAMESPACE", "0", "found 0, expected 1 to 60"),
        ("MIGRATION_REST", "7201s", "rest: found 7201s, expected 1ns to 7200s"),
        ("MIGRATION_SURGE_TIMEOUT", "0s", "surge_timeout: found 0ns"),
        ("MIGRATION_HOLD_OFF", "5", "expected a duration with a unit"),
        ("LEADER_LEASE", "2s", "K40S_LEADER_LEASE: expected at least 3s"),
        ("MIGRATION_RETRY", "0s", "K40S_MIGRATION_RETRY"),
        ("LOW_THRESHOLD", "15", "0 <= low <= high"),
        ("PREEMPTION_VICTIMS_PER_HOUR", "0", "K40S_PREEMPTION_*: victims per hour: found 0"),
        ("PREEMPTION_CLAIM", "1s", "claim: found 1s, expected 5s to 3600s"),
        ("PREEMPTION", "maybe", "K40S_PREEMPTION: found 'maybe'"),
        ("MIGRATION_HOLDOFF", "5s", "did you mean K40S_MIGRATION_HOLD_OFF"),
    ],
)
def test_a_bad_value_is_one_clear_error(name: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError, match="K40S_") as refused:
        read_settings(ControllerSettings, {f"K40S_{name}": value})

    assert said in str(refused.value)
