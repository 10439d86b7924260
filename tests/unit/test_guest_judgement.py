"""What counts as a broken promise among the scenes that guests play."""

from dataclasses import replace

import pytest

from tests.guest.guest_time.judgement import Played, rare, unsound
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


@pytest.mark.parametrize(("model", "late"), [("voluntary", 5), ("full", 5), ("rt", 1)])
def test_an_admitted_loop_that_is_late_is_unsound(model: str, late: int) -> None:
    one = replace(LATE, setting=Setting(model=model, timer=True), late=late)

    assert (unsound([one]), rare([one])) == ([str(one)], [])


@pytest.mark.parametrize("model", ["voluntary", "full"])
def test_now_and_then_a_kernel_without_preempt_rt_exceeds_what_was_measured(model: str) -> None:
    one = replace(LATE, setting=Setting(model=model, timer=True), late=4)

    assert (unsound([one]), rare([one])) == ([], [str(one)])


def test_refused_and_punctual_loops_break_no_promise() -> None:
    refused = replace(LATE, reason="cpu.not-schedulable")

    assert unsound([refused, replace(LATE, late=0)]) == []


def test_each_scene_has_a_name_of_its_own() -> None:
    assert len({scene.name for scene in EVERY}) == len(EVERY)
    assert set(FEW) <= set(EVERY)
