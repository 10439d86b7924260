"""How late budgets end: by the model and a measurement, and while the feature comes and goes."""

import pytest

from daemons.rubicante.kernel.preemption import Preemption
from daemons.rubicante.mechanisms.timer.budget_timer import (
    AGAIN_SECONDS,
    CONFIRMED_SECONDS,
    FAILED_SECONDS,
    MEASURED_SECONDS,
    REFUSED_SECONDS,
    TRUSTED_SECONDS,
    WATCH_SECONDS,
    BudgetTimer,
)
from daemons.rubicante.mechanisms.timer.hrtick import FeatureState
from daemons.rubicante.mechanisms.timer.measurement import Measurement
from k40s.units import NS_PER_MS, NS_PER_US, Nanoseconds
from tests.fakes.rubicante.domains import DomainKernel
from tests.fakes.rubicante.features import FEATURES, OFF, ON, feature, is_on, kernel_with

TICK = Nanoseconds(4 * NS_PER_MS)


class Node:
    def __init__(
        self,
        kernel: DomainKernel,
        *,
        permitted: bool = True,
        model: Preemption = Preemption.RT,
    ) -> None:
        self.kernel = kernel
        self.seconds = 100.0
        self.model = model
        self.timer = BudgetTimer(
            feature=feature(kernel, permitted=permitted),
            read_model=lambda: self.model,
            clock=lambda: self.seconds,
        )
        self.timer.begin(in_use=False)

    @property
    def overrun(self) -> int:
        return self.timer.status.overrun(TICK) // NS_PER_US

    def after(self, seconds: float) -> int:
        """δ in µs after some seconds, seen when somebody looks."""
        self.seconds += seconds
        if self.timer.has_changed():
            self.timer.look()
        return self.overrun

    def measured(self, microseconds: int) -> int:
        late = Nanoseconds(microseconds * NS_PER_US)
        self.timer.note(Measurement(user=Nanoseconds(0), calls=late, by_calls=late))
        return self.after(WATCH_SECONDS)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Preemption.RT, 100),
        (Preemption.FULL, 700),
        (Preemption.LAZY, 1200),
        (Preemption.VOLUNTARY, 1200),
        (Preemption.NONE, 4000),
        (Preemption.UNKNOWN, 4000),
    ],
)
def test_the_overrun_follows_the_preemption_model(model: Preemption, expected: int) -> None:
    node = Node(kernel_with(OFF), model=model)

    assert node.overrun == expected


@pytest.mark.parametrize(
    ("model", "expected"), [(Preemption.VOLUNTARY, 1200), (Preemption.NONE, 4000)]
)
def test_a_model_that_is_switched_at_run_time_counts_within_a_second(
    model: Preemption, expected: int
) -> None:
    node = Node(kernel_with(OFF), model=Preemption.FULL)
    before = node.overrun
    node.model = model

    assert (before, node.after(WATCH_SECONDS)) == (700, expected)


@pytest.mark.parametrize(
    ("seen", "delay"), [(0, 0), (66, 0), (67, 20), (80, 20), (81, 40), (700, 960)]
)
def test_what_calls_were_measured_to_add_and_a_half_more_is_in_each_budget(
    seen: int, delay: int
) -> None:
    node = Node(kernel_with(OFF), model=Preemption.VOLUNTARY)
    before = node.timer.status.delay
    node.measured(seen)

    assert (before, node.timer.status.delay) == (0, delay * NS_PER_US)


def test_a_model_without_a_bound_is_said_aloud() -> None:
    status = Node(kernel_with(ON), model=Preemption.NONE).timer.status

    assert "no bound is known for the preemption model none" in " ".join(status.warnings(TICK))


@pytest.mark.parametrize(("seen", "expected"), [(20, 100), (101, 200), (950, 1000), (9000, 9000)])
def test_the_larger_of_bound_and_measurement_counts(seen: int, expected: int) -> None:
    node = Node(kernel_with(OFF))

    assert node.measured(seen) == expected


def test_no_later_measurement_makes_it_smaller() -> None:
    node = Node(kernel_with(OFF))
    node.measured(900)
    node.measured(900)

    node.timer.note(Measurement(cause="busy"))
    failed = node.after(WATCH_SECONDS)

    assert (node.measured(10), failed) == (900, 900)


def test_a_moment_of_standstill_of_the_machine_at_the_start_counts_no_longer_than_a_minute() -> (
    None
):
    node = Node(kernel_with(OFF))
    at_first = node.measured(19_000)
    node.seconds += CONFIRMED_SECONDS
    is_due = node.timer.is_measurement_due()

    assert (at_first, is_due, node.measured(20), node.timer.status.delay) == (19_000, True, 100, 0)


def test_a_growth_counts_when_it_is_seen_again_and_as_far() -> None:
    node = Node(kernel_with(OFF))
    node.measured(20)
    node.measured(20)

    once = node.measured(5_000)
    node.seconds += CONFIRMED_SECONDS
    is_due = node.timer.is_measurement_due()

    assert (once, is_due, node.measured(900)) == (100, True, 900)


def test_a_growth_that_only_the_confirmation_shows_is_measured_once_more() -> None:
    node = Node(kernel_with(OFF))
    node.measured(20)
    second = node.measured(900)
    node.seconds += CONFIRMED_SECONDS
    is_due = node.timer.is_measurement_due()

    assert (second, is_due, node.measured(900)) == (100, True, 900)


def test_one_measurement_confirms_only_the_parts_that_it_has() -> None:
    node = Node(kernel_with(OFF))
    stood_still = Nanoseconds(19 * NS_PER_MS)
    node.timer.note(Measurement(user=stood_still, calls=stood_still, by_calls=Nanoseconds(0)))
    node.timer.note(Measurement(by_calls=Nanoseconds(0)))
    at_first = node.after(WATCH_SECONDS)

    assert (at_first, node.measured(20)) == (4000, 100)


def test_a_part_that_is_first_measured_later_counts_at_once() -> None:
    node = Node(kernel_with(OFF))
    for _ in range(2):
        node.timer.note(Measurement(by_calls=Nanoseconds(0)))

    assert node.measured(900) == 900


def test_a_measurement_beyond_the_tick_is_said_aloud() -> None:
    node = Node(kernel_with(OFF))
    node.timer.note(Measurement(user=Nanoseconds(9 * NS_PER_MS), calls=Nanoseconds(0)))

    assert node.after(WATCH_SECONDS) == 4000
    assert "budgets end up to 9ms late: the tick counts" in " ".join(
        node.timer.status.warnings(TICK)
    )


def test_what_could_not_be_measured_is_said_and_the_bound_counts() -> None:
    node = Node(kernel_with(OFF))
    node.timer.note(Measurement(cause="reservations everywhere"))

    assert node.after(WATCH_SECONDS) == 100
    assert "was not measured: reservations everywhere" in node.timer.status.warnings(TICK)[-1]


def test_without_permission_an_ordinary_kernel_is_no_reason_to_warn() -> None:
    status = Node(kernel_with(OFF), permitted=False).timer.status

    assert (status.overrun(TICK), status.warnings(TICK)) == (TICK, ())


def test_with_permission_a_refusal_is_a_warning() -> None:
    status = Node(DomainKernel()).timer.status

    assert status.overrun(TICK) == TICK
    assert "debugfs is not mounted there (ENOENT)" in status.warnings(TICK)[0]


def test_a_loss_is_noticed_in_a_second_and_the_tick_counts() -> None:
    node = Node(kernel_with(OFF), permitted=False)
    node.kernel.files[FEATURES] = ON
    before = node.after(WATCH_SECONDS)
    node.kernel.files[FEATURES] = OFF

    after = node.after(WATCH_SECONDS)

    assert (before, after) == (100, 4000)
    assert node.timer.status.losses == 1
    assert "switched off by another program" in node.timer.status.warnings(TICK)[0]


def test_a_loss_is_repaired_at_once_with_permission_and_counts_when_it_lasts() -> None:
    node = Node(kernel_with(OFF))
    node.seconds += AGAIN_SECONDS
    node.kernel.files[FEATURES] = OFF

    lost = node.after(WATCH_SECONDS)
    repaired = is_on(node.kernel)
    soon = node.after(WATCH_SECONDS)

    assert (lost, repaired, soon) == (4000, True, 4000)
    assert node.after(TRUSTED_SECONDS) == 100


def test_somebody_who_insists_is_not_fought_with() -> None:
    node = Node(kernel_with(OFF))
    node.kernel.writes.clear()
    for _ in range(round(3 * AGAIN_SECONDS)):
        node.kernel.files[FEATURES] = OFF
        assert node.after(WATCH_SECONDS) == 4000

    written = [text for path, text in node.kernel.writes if path == FEATURES]

    assert len(written) == 3


def test_a_feature_that_cannot_be_read_any_more_counts_as_lost() -> None:
    node = Node(kernel_with(OFF))
    del node.kernel.files[FEATURES]

    assert node.after(WATCH_SECONDS) == 4000
    assert node.timer.status.hrtick.state is FeatureState.UNREADABLE


def test_a_refusal_is_not_repeated_every_second() -> None:
    node = Node(DomainKernel())

    assert [node.timer.has_changed() for _ in range(3)] == [False] * 3
    node.seconds += AGAIN_SECONDS
    assert not node.timer.has_changed()


def test_measures_at_the_start_and_then_rarely() -> None:
    node = Node(kernel_with(OFF))
    at_first = node.timer.is_measurement_due()
    node.measured(10)
    at_once = node.timer.is_measurement_due()
    node.seconds += CONFIRMED_SECONDS
    confirms = node.timer.is_measurement_due()
    node.measured(10)
    node.seconds += CONFIRMED_SECONDS
    soon = node.timer.is_measurement_due()
    node.seconds += MEASURED_SECONDS

    assert (at_first, at_once, confirms) == (True, False, True)
    assert (soon, node.timer.is_measurement_due()) == (False, True)


def test_measures_again_soon_where_it_failed() -> None:
    node = Node(kernel_with(OFF))
    node.timer.note(Measurement(cause="busy"))
    node.seconds += FAILED_SECONDS

    assert node.timer.is_measurement_due()


def test_what_calls_add_is_measured_without_the_timer_and_counts_past_the_tick() -> None:
    node = Node(kernel_with(OFF), permitted=False)
    is_due = node.timer.is_measurement_due()
    node.timer.note(Measurement(by_calls=Nanoseconds(700 * NS_PER_US)))

    assert (is_due, node.timer.ends_budgets()) == (True, False)
    assert node.after(WATCH_SECONDS) == 4960
    assert node.timer.status.delay == 960 * NS_PER_US
    assert node.timer.status.warnings(TICK) == ()


def test_what_calls_add_and_was_not_measured_is_said() -> None:
    node = Node(kernel_with(OFF), permitted=False)
    node.timer.note(Measurement(cause="reservations everywhere"))
    node.after(WATCH_SECONDS)
    nowhere = node.timer.status.warnings(TICK)
    node.timer.note(Measurement(user=Nanoseconds(10)))
    node.after(WATCH_SECONDS)

    assert len(nowhere) == 1
    assert nowhere[0].endswith("not measured: reservations everywhere; 0.1 ms is assumed")
    assert "too busy" in node.timer.status.warnings(TICK)[0]


def test_a_part_that_lacks_is_tried_again_soon() -> None:
    node = Node(kernel_with(OFF))
    for _ in range(2):
        node.timer.note(Measurement(by_calls=Nanoseconds(0)))
    node.seconds += FAILED_SECONDS

    assert node.timer.is_measurement_due()


def test_one_that_rubicante_itself_switches_on_later_is_measured_at_once() -> None:
    node = Node(DomainKernel())
    for _ in range(2):
        node.timer.note(Measurement(by_calls=Nanoseconds(0)))
    node.kernel.folders.add(FEATURES.parent)
    node.kernel.files[FEATURES] = OFF
    node.after(REFUSED_SECONDS)

    assert is_on(node.kernel)
    assert node.timer.is_measurement_due()


def test_a_timer_that_is_switched_on_later_is_measured_at_once() -> None:
    node = Node(kernel_with(OFF), permitted=False)
    for _ in range(2):
        node.timer.note(Measurement(by_calls=Nanoseconds(0)))
    before = node.timer.is_measurement_due()
    node.kernel.files[FEATURES] = ON
    node.after(WATCH_SECONDS)

    assert (before, node.timer.is_measurement_due()) == (False, True)


@pytest.mark.parametrize(("in_use", "stays"), [(True, True), (False, False)])
def test_the_end_restores_it_unless_reservations_count_on_it(in_use: bool, stays: bool) -> None:
    node = Node(kernel_with(OFF))

    cause = node.timer.end(in_use=in_use)

    assert (is_on(node.kernel), cause) == (stays, "")
