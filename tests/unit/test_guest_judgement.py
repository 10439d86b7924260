"""What counts as a broken promise among the scenes that guests play."""

from dataclasses import replace

import pytest

from tests.guest.guest_time.judgement import Played, unsound
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


@pytest.mark.parametrize("model", ["voluntary", "full", "rt"])
def test_an_admitted_loop_that_is_late_is_unsound_on_any_kernel(model: str) -> None:
    other = replace(LATE, setting=Setting(model=model, timer=True))

    assert unsound([other]) == [str(other)]


def test_refused_and_punctual_loops_break_no_promise() -> None:
    refused = replace(LATE, reason="cpu.not-schedulable", charged=300_000)

    assert unsound([refused, replace(LATE, late=0, charged=300_000)]) == []


def test_each_scene_has_a_name_of_its_own() -> None:
    assert len({scene.name for scene in EVERY}) == len(EVERY)
    assert set(FEW) <= set(EVERY)
