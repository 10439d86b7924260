import json
from dataclasses import replace
from pathlib import Path

import pytest

from k40s.errors import InvalidInputError
from k40s.units import NS_PER_S
from tests.fakes.calibration_recordings import phase_of, setting_of
from workbench.calibration.assurance.plan.experiment import PAPER, QUICK, Experiment, Policy, Stress
from workbench.calibration.assurance.plan.experiment_text import (
    differences,
    format_setting,
    read_setting,
)
from workbench.calibration.assurance.plan.stressors import command

PLAN = Experiment(
    cpus=(0, 1),
    policies=(Policy.FIFO, Policy.OTHER),
    stresses=(Stress.OPEN, Stress.UDP_IO),
    stressors=(1, 16),
    repetitions=2,
    cooldown=10,
    stress_time=5,
)


def test_every_combination_is_one_phase_with_a_name_of_its_own() -> None:
    phases = list(PLAN.phases())

    assert len(phases) == PLAN.count == 16
    assert len({phase.name for phase in phases}) == 16
    assert phases[0].name == "fifo-1-1-open"
    assert phases[1].name == "fifo-1-1-udp+io"
    assert PLAN.duration == 16 * 15 * NS_PER_S


def test_a_run_of_the_paper_takes_half_an_hour_and_a_quick_one_three_minutes() -> None:
    for extent, seconds in ((PAPER, 1800), (QUICK, 150)):
        assert len(Stress) * (extent.cooldown + extent.stress_time) == seconds
    assert PAPER.stressors == (1, 2, 4, 8, 16)
    assert [stress.value for stress in Stress] == [
        *("cpu", "udp", "hdd", "io", "netdev", "open", "fork", "cpu+hdd", "cpu+udp", "udp+io")
    ]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"cpus": ()}, "needs CPUs"),
        ({"stressors": (0,)}, "stressors lie in 1 to"),
        ({"repetitions": 0}, "repetitions lie in 1 to"),
        ({"cooldown": 2}, "last 3 to"),
        ({"stress_time": 100_000}, "last 3 to"),
    ],
)
def test_a_plan_that_measures_nothing_is_refused(change: dict[str, int], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        replace(PLAN, **change)


def test_a_plan_is_read_as_it_was_written() -> None:
    setting = replace(setting_of(), experiment=PLAN)

    assert read_setting(format_setting(setting), source="experiment.json") == setting


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"v": 2}, "at $.v: found 2, expected a whole number from 1 to 1"),
        ({"kind": "x"}, "at $.kind: found 'x', expected \"assurance-experiment\""),
        ({"policies": ["rr"]}, "at $.policies[0]: found 'rr'"),
        ({"stressors": []}, "found another plan, expected an experiment needs CPUs"),
        ({"kernel": ""}, "at $.kernel: found '', expected a text"),
        ({"x": 1}, 'at $.x: found the unknown field "x"'),
    ],
)
def test_a_plan_that_is_wrong_names_its_path(change: dict[str, object], error: str) -> None:
    text = json.dumps(json.loads(format_setting(setting_of())) | change)

    with pytest.raises(InvalidInputError) as caught:
        read_setting(text, source="experiment.json")

    assert error in str(caught.value)


def test_what_differs_between_two_plans_is_said() -> None:
    other = replace(PLAN, stressors=(8,), cooldown=120)

    assert differences(PLAN, PLAN) == ""
    assert differences(PLAN, other) == "stressors 1,16 instead of 8, cooldown 10 instead of 120"


def test_stressors_end_by_themselves_and_keep_their_files_where_they_are_removed() -> None:
    words = command("stress-ng", Stress.CPU_HDD, 4, seconds=35, scratch=Path("/out/scratch"))

    assert " ".join(words) == (
        "stress-ng --quiet --timeout 35 --temp-path /out/scratch --cpu 4 --hdd 4 --hdd-bytes 64m"
    )


def test_real_time_policies_are_told_from_the_ordinary_one() -> None:
    assert [policy.real_time for policy in Policy] == [False, True, True, True]
    assert phase_of(policy=Policy.RT_CGROUP, repetition=3).name == "rt-cgroup-16-3-open"
