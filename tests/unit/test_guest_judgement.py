"""What counts as a broken promise among the scenes that guests play."""

from dataclasses import replace

import pytest

from tests.guest.guest_time.judgement import Played, unmeasured, unsound
from tests.guest.guest_time.scenes import EVERY, FEW, Setting

LATE = Played(
    name="300/2000-beside-calls-ordinary",
    setting=Setting(model="voluntary", timer=False),
    reason="",
    wcet=300_000,
    budget=420_000,
    jobs=400,
    late=1,
    worst=2_100_000,
    waited=1_900_000,
    charged=980_000,
)


def test_only_an_unmeasured_lateness_that_was_charged_excuses_a_late_loop() -> None:
    assert unmeasured([LATE]) == [LATE]
    assert unsound([LATE]) == []


@pytest.mark.parametrize(
    "other",
    [
        replace(LATE, charged=419_000),
        replace(LATE, budget=1_120_000, charged=1_200_000),
        replace(LATE, setting=Setting(model="full", timer=False)),
        replace(LATE, setting=Setting(model="rt", timer=True)),
    ],
)
def test_any_other_admitted_loop_that_is_late_is_unsound(other: Played) -> None:
    assert unsound([LATE, other]) == [str(other)]


def test_refused_and_punctual_loops_break_no_promise() -> None:
    refused = replace(LATE, reason="cpu.not-schedulable", charged=300_000)

    assert unsound([refused, replace(LATE, late=0, charged=300_000)]) == []


def test_each_scene_has_a_name_of_its_own() -> None:
    assert len({scene.name for scene in EVERY}) == len(EVERY)
    assert set(FEW) <= set(EVERY)
