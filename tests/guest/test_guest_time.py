"""A 2 ms loop beside rogues keeps its deadlines where rubicante admits it, and would not elsewhere.

Admission is rubicante's own, in the guest, by the facts that its discovery reads there; whatever it
says, the pair then runs, and the kernel shows whether it was right. The guest's clock counts the
instructions of its one CPU, so a busy host changes nothing that is found.

``make test`` plays a few scenes on one kernel, ``make test-guest-time`` all on every one.
"""

import os
import sys

import pytest

from localcluster.errors import LocalClusterError
from localcluster.guest.kernels import CLOUD, REAL_TIME, GuestKernel, ensure_kernel
from localcluster.guest.trial import Program, run_trial
from localcluster.host.paths import cache_root
from localcluster.progress import Progress
from tests.guest.guest_time.judgement import Played, rare, unsound
from tests.guest.guest_time.scenes import ALONE, CALLING, FINE, MIDDLE, ORDINARY, PATIENT, Scene
from tests.guest.trials import BOOT_SECONDS, PLAY_SECONDS, SOURCES

KERNELS = ((CLOUD, "6.12"), (CLOUD, "6.1"), (REAL_TIME, "6.12"), (REAL_TIME, "6.1"))
VOLUNTARY, RT = "voluntary", "rt"
SWITCHES_NS = 20_000
"""What a job may cost beyond its WCET: two switches, the first part of admission's overhead."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """On the first kernel, or on all of them."""
    if "kernel" in metafunc.fixturenames:
        every = metafunc.config.getoption("every_kernel")
        found = KERNELS if every else KERNELS[:1]
        ids = ["-".join(one) for one in found]
        metafunc.parametrize("kernel", found, ids=ids, indirect=True, scope="session")


@pytest.fixture(scope="session")
def kernel(request: pytest.FixtureRequest, progress: Progress) -> GuestKernel:
    flavour, series = request.param
    try:
        return ensure_kernel(
            flavour, series=series, cache=cache_root(os.environ), progress=progress
        )
    except LocalClusterError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def played(kernel: GuestKernel, request: pytest.FixtureRequest, progress: Progress) -> list[Played]:
    program = "every" if request.config.getoption("every_kernel") else "few"
    try:
        with progress.step(f"playing scenes in guest time, Linux {kernel.release}"):
            report = run_trial(
                kernel,
                [Program(path=f"tests/guest/guest_time/{program}.py", seconds=PLAY_SECONDS)],
                sources=SOURCES,
                cache=cache_root(os.environ),
                boot_seconds=BOOT_SECONDS,
                progress=progress,
                counted=True,
            )
    except LocalClusterError as error:
        pytest.fail(str(error), pytrace=False)
    found = [Played.read(one["value"]) for one in report.facts if one["fact"] == "time-scene"]
    sys.stdout.writelines(f"{one}\n" for one in found)
    return found


def of(played: list[Played], *scenes: Scene, timer: bool) -> list[Played]:
    names = {scene.name for scene in scenes}
    return [one for one in played if one.name in names and one.setting.timer is timer]


def test_what_is_admitted_keeps_every_deadline(played: list[Played]) -> None:
    sys.stdout.writelines(f"late now and then: {one}\n" for one in rare(played))
    assert unsound(played) == []


def test_the_loop_alone_keeps_its_contract_so_a_late_one_is_not_its_own_fault(
    played: list[Played],
) -> None:
    alone = of(played, ALONE, timer=False) + of(played, ALONE, timer=True)

    assert {one.setting.model for one in alone} == {one.setting.model for one in played}
    for one in alone:
        assert one.late == 0, one
        assert one.wcet - SWITCHES_NS <= one.charged <= one.wcet + SWITCHES_NS, one


def test_beside_a_budget_that_ticks_end_a_loop_of_2ms_is_refused_and_would_be_late(
    played: list[Played],
) -> None:
    found = of(played, *FINE, timer=False)

    assert [str(one) for one in found if one.is_admitted] == []
    for model in {one.setting.model for one in found}:
        assert any(one.late for one in found if one.setting.model == model), model


def test_beside_system_calls_that_nothing_preempts_it_is_refused_and_would_be_late(
    played: list[Played],
) -> None:
    found = [one for one in of(played, *CALLING, timer=True) if one.setting.model == VOLUNTARY]
    if not found:
        pytest.skip("this kernel has no voluntary preemption")

    assert [str(one) for one in found if one.is_admitted] == []
    assert any(one.late for one in found)


def test_what_an_ordinary_process_in_system_calls_costs_it_is_measured_and_in_its_budget(
    played: list[Played],
) -> None:
    found = [one for timer in (False, True) for one in of(played, ORDINARY, timer=timer)]

    assert found
    for one in found:
        if one.is_admitted and str(one) not in rare([one]):
            assert one.charged <= one.budget, one
        if one.setting.model == VOLUNTARY:
            assert one.charged - one.wcet > SWITCHES_NS, one
            assert not one.is_admitted or one.measured > 0, one
        elif one.setting.model == RT:
            assert one.is_admitted
            assert one.measured == 0


def test_on_preempt_rt_it_is_admitted_where_a_timer_ends_budgets(played: list[Played]) -> None:
    found = [one for one in of(played, *FINE, *CALLING, timer=True) if one.setting.model == RT]
    if not found:
        pytest.skip("this kernel has no PREEMPT_RT")

    assert [str(one) for one in found if not one.is_admitted] == []


def test_a_loop_of_5ms_is_admitted_where_a_timer_ends_budgets_soon_and_only_there(
    played: list[Played],
) -> None:
    by_tick = of(played, *MIDDLE, timer=False)
    by_timer = [one for one in of(played, *MIDDLE, timer=True) if one.setting.model != VOLUNTARY]

    assert by_tick
    assert [str(one) for one in by_tick if one.is_admitted] == []
    assert by_timer
    assert [str(one) for one in by_timer if not one.is_admitted] == []


def test_a_loop_of_20ms_is_admitted_with_ticks_alone(played: list[Played]) -> None:
    found = of(played, PATIENT, timer=False)

    assert found
    assert [str(one) for one in found if not one.is_admitted] == []
