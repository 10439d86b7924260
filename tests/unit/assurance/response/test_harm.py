import pytest

from k40s.assurance.response.harm import (
    CriticalPod,
    Gauge,
    HarmPolicy,
    HarmState,
    count_gauged,
    gauge_harm,
)
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

POLICY = HarmPolicy()
QUIET, OPEN = 1_278, 11_068
"""Microseconds per second, as measured for a SCHED_FIFO task: at rest, and under ``open``."""
NOISY = 3_328
"""At rest, on a virtual machine whose host was busy."""


class Critical:
    """One critical pod, sampled twice a second."""

    def __init__(self) -> None:
        self.state = HarmState()
        self.calm = False
        self.others: dict[str, CriticalPod] = {}
        self._at = 0
        self._pressure = 0

    def rest(self, rate: int = QUIET, windows: int = 21) -> "Critical":
        """So long in calm; by default the least baseline."""
        self.calm = True
        self.wait(rate, windows)
        self.calm = False
        return self

    def wait(
        self, rate: int | None, windows: int = 1, *, early: int = 0, **values: int | bool | None
    ) -> bool | None:
        for _ in range(windows):
            self._at += 500 * NS_PER_MS - early
            self._pressure += (rate or 0) // 2
            pod = CriticalPod(
                pressure=None if rate is None else self._pressure,
                **values,  # type: ignore[arg-type]  # a test's values
            )
            self.state = gauge_harm(
                self.state,
                POLICY,
                at=Nanoseconds(self._at),
                pods={"critical": pod, **self.others},
                calm=self.calm,
            )
        return self.state.harmed


def test_a_pod_of_a_noisy_machine_is_harmed_at_twice_its_own_calm() -> None:
    pod = Critical().rest(NOISY)

    found = [pod.wait(rate) for rate in (OPEN, *[2 * NOISY - 2] * 2, *[2 * NOISY] * 2)]

    assert found == [False, False, False, False, True]


def test_a_pod_that_waits_more_in_calm_has_no_gauge() -> None:
    pod = Critical().rest(POLICY.quiet + 2)

    assert pod.wait(POLICY.quiet + 2) is None
    assert pod.wait(OPEN, 2) is None


def test_pressure_of_two_windows_is_harm_and_two_quiet_ones_end_it() -> None:
    pod = Critical().rest()

    found = [pod.wait(rate) for rate in (QUIET, OPEN, OPEN, OPEN, QUIET, QUIET)]

    assert found == [False, False, True, True, True, False]


@pytest.mark.parametrize("rate", [2012, 1806, 2040, 3070, 1684, 2204, 1064, 1026, 2240, 2944])
def test_no_stress_that_leaves_latency_alone_is_harm(rate: int) -> None:
    assert Critical().rest().wait(rate, 10) is False


@pytest.mark.parametrize("rate", [11068, 13220, 12900, 15186])
def test_the_stress_that_hurts_is(rate: int) -> None:
    assert Critical().rest().wait(rate, 10) is True


def test_one_bad_window_in_between_is_not() -> None:
    pod = Critical().rest()

    assert not any(pod.wait(rate) for rate in (OPEN, QUIET) * 10)


def test_a_missed_deadline_is_harm_at_once() -> None:
    pod = Critical().rest()
    pod.wait(QUIET, misses=3)

    assert pod.wait(QUIET, misses=4) is True
    assert [(harm.gauge, harm.value) for harm in pod.state.evidence] == [(Gauge.MISSES, 1.0)]
    assert pod.wait(QUIET, 2, misses=4) is False


def test_so_is_the_pods_own_report() -> None:
    pod = Critical()
    pod.wait(None, late=False)

    assert pod.wait(None, late=False) is False
    assert pod.wait(None, late=True) is True


def test_without_any_gauge_harm_is_unknown() -> None:
    pod = Critical()

    assert pod.wait(None, 5) is None
    assert pod.state.evidence == ()


def test_a_counter_that_goes_backwards_is_no_harm_and_tells_nothing() -> None:
    state = HarmState()
    for at, pressure, misses in ((0, 10**9, 50), (1, 0, 0), (2, 100, 0)):
        state = gauge_harm(
            state,
            POLICY,
            at=Nanoseconds(at * NS_PER_S),
            pods={"critical": CriticalPod(pressure=pressure, misses=misses)},
        )

    assert state.harmed is None


def test_a_pod_that_has_not_rested_has_no_gauge() -> None:
    assert Critical().rest(windows=20).wait(QUIET) is None
    assert Critical().wait(15_186, 100) is None


def test_a_pod_that_waits_for_its_neighbours_in_calm_has_none() -> None:
    pod = Critical().rest(rate=200_000, windows=60)

    assert pod.wait(200_000 + OPEN, 10) is None
    assert count_gauged(pod.state, POLICY) == 0


def test_one_whose_neighbour_begins_to_run_loses_it() -> None:
    pod = Critical().rest(windows=60)
    pod.rest(rate=200_000, windows=31)

    assert pod.wait(200_000, 4) is None


def test_the_baseline_is_kept_while_an_alarm_is_active() -> None:
    pod = Critical().rest()

    assert pod.wait(OPEN, 500) is True
    assert pod.wait(QUIET, 2) is False
    assert count_gauged(pod.state, POLICY) == 1


def test_a_pod_that_loses_its_gauge_begins_again() -> None:
    pod = Critical().rest()
    pod.wait(None)

    assert pod.wait(QUIET, 10) is None


def test_beside_a_pod_without_a_gauge_nothing_tells_that_nobody_suffers() -> None:
    pod = Critical().rest()
    pod.others = {"other": CriticalPod()}

    assert pod.wait(QUIET, 4) is None
    assert pod.wait(OPEN, 2) is True
    assert pod.wait(QUIET, 2) is None


def test_a_count_of_misses_alone_does_not_tell_that_nobody_suffers() -> None:
    pod = Critical()

    assert pod.wait(None, 4, misses=0) is None
    assert pod.wait(None, misses=1) is True
    assert pod.wait(None, 2, misses=1) is None


def test_it_tells_by_which_gauge() -> None:
    pod = Critical().rest()
    pod.wait(OPEN, 2)

    assert pod.state.shows(Gauge.PRESSURE)
    assert not pod.state.shows(Gauge.MISSES)
    pod.wait(QUIET, 2)
    assert not pod.state.shows(Gauge.PRESSURE)


def test_a_sample_that_comes_early_ends_its_window_all_the_same() -> None:
    pod = Critical().rest()

    found = [pod.wait(OPEN, early=NS_PER_MS), pod.wait(OPEN, early=NS_PER_MS)]

    assert found == [False, True]


def test_fast_samples_are_gathered_to_whole_windows() -> None:
    state = HarmState()
    for tenth in range(40):
        spike = 2_000 if tenth % 10 == 0 else 0  # 2 ms within 100 ms, once a second
        state = gauge_harm(
            state,
            POLICY,
            at=Nanoseconds(tenth * 100 * NS_PER_MS),
            pods={"critical": CriticalPod(pressure=tenth * 100 + spike)},
        )
        assert not state.harmed


@pytest.mark.parametrize(
    "change",
    [
        {"pressure": 0},
        {"rise": 0},
        {"window": 0},
        {"windows": 0},
        {"quiet": 0},
        {"quiet": 5_000},
        {"least": 0},
        {"least": 61},
    ],
)
def test_a_policy_that_cannot_be_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="gauge of harm"):
        HarmPolicy(**change)  # type: ignore[arg-type]  # wrong on purpose
