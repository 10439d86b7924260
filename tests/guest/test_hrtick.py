"""HRTICK_DL on Debian's kernel, in guest time: switched on, measured, lost, restored."""

import os
from math import ceil

import pytest

from localcluster.errors import LocalClusterError
from localcluster.guest.kernels import GuestKernel
from localcluster.guest.trial import Program, ensure_base, run_trial
from localcluster.host.paths import cache_root
from localcluster.progress import Progress
from tests.guest.conftest import PROBE_SECONDS
from tests.guest.trials import BOOT_SECONDS, SOURCES

TICK = 4000
"""µs, at HZ = 250."""


@pytest.fixture(scope="module")
def facts(kernel: GuestKernel, progress: Progress) -> dict[str, list[object]]:
    """What the program printed; one CPU whose instructions are its clock."""
    cache = cache_root(os.environ)
    try:
        ensure_base(cache, progress)
        with progress.step(f"HRTICK_DL in a guest, Linux {kernel.release}"):
            report = run_trial(
                kernel,
                [Program(path="tests/guest/exact/hrtick.py", seconds=2 * PROBE_SECONDS)],
                sources=SOURCES,
                cache=cache,
                boot_seconds=BOOT_SECONDS,
                progress=progress,
                counted=True,
            )
    except LocalClusterError as error:
        pytest.fail(str(error), pytrace=False)
    return {str(fact["fact"]): fact["value"] for fact in report.facts}


def test_the_tick_ends_budgets_late_and_the_timer_in_microseconds(
    facts: dict[str, dict[str, int]],
) -> None:
    by_ticks, by_timer = facts["late-by-ticks"], facts["late-by-timer"]

    assert TICK / 2 < by_ticks["user"] <= TICK
    assert by_timer["user"] < 100
    assert by_timer["calls"] <= 700


def test_it_is_switched_on_with_permission_and_off_again(facts: dict[str, list[bool]]) -> None:
    # The feature, the mark, and whether the state says that k40s switched it on.
    assert facts["before"] == [False, False]
    assert facts["on"] == [True, True, True]
    assert facts["ended"] == [False, False]


def test_the_node_is_measured_and_offers_what_its_model_permits(
    facts: dict[str, list[int]],
) -> None:
    user, calls, by_calls = (late / 1000 for late in facts["seen"])

    assert facts["offer"][:2] == ["voluntary", 1200]
    assert 0 <= user < 100
    assert 0 <= calls <= 1200
    assert 300 <= by_calls <= 1200
    assert facts["offer"][2] == max(0, ceil(1.5 * by_calls / 20) * 20 - 100)
    assert [text for text in facts["warnings"] if "HRTICK" in str(text)] == []
    assert [text for text in facts["warnings"] if "lateness" in str(text)] == []


def test_delta_and_the_delay_follow_the_model(facts: dict[str, dict[str, list[int]]]) -> None:
    overruns = {model: overrun for model, (overrun, _) in facts["models"].items()}
    at_ticks = TICK + facts["models"]["none"][1]

    assert overruns == {"voluntary": 1200, "full": 700, "none": at_ticks}


def test_a_process_that_was_killed_is_cleaned_up_after(facts: dict[str, list[object]]) -> None:
    assert facts["killed"] == [True, True]
    assert facts["given-back"] == ["", False, False]


def test_a_loss_counts_as_the_tick_and_is_repaired(facts: dict[str, list[int]]) -> None:
    counted, delay = facts["counted"]
    assert counted == 700
    assert facts["lost"] == [TICK + delay, True]
    assert facts["trusted"] == [700, True]


def test_what_somebody_else_switched_on_stays_on(facts: dict[str, list[bool]]) -> None:
    assert facts["somebody-elses"] == [True, False]
