"""Where the lateness of budgets and wake-ups is measured, and what of it counts."""

import errno
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import pytest

from daemons.rubicante.kernel.probes.hog import Load
from daemons.rubicante.mechanisms.timer.measurement import (
    STANDSTILL,
    Measurement,
    Samples,
    measure_lateness,
)
from daemons.rubicante.mechanisms.timer.overrun_probe import GoOn
from k40s.cpu.model import ANY_CORE, Mechanism, Reservation, Server, Task
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, Nanoseconds

MS = Nanoseconds(NS_PER_MS)


def reservation(core: int) -> Reservation:
    task = Task(name="ctl", wcet=MS, period=Nanoseconds(10 * MS), deadline=Nanoseconds(10 * MS))
    return Reservation(
        pod_uid="p",
        container="main",
        core=core,
        criticality=Criticality.HI,
        server=Server(budget=MS, period=Nanoseconds(10 * MS)),
        tasks=(task,),
        priorities=(),
        mechanism=Mechanism.DEADLINE,
    )


class Kernel:
    """``domains`` are the sets of CPUs that it takes DEADLINE threads on."""

    def __init__(self, *domains: set[int], samples: int = 8) -> None:
        self.domains = domains
        self.samples = samples
        self.asked: list[frozenset[int]] = []
        self.went_on: list[bool] = []

    def measure(self, cores: AbstractSet[int], go_on: GoOn) -> Samples:
        self.asked.append(frozenset(cores))
        self.went_on.append(go_on())
        if cores not in self.domains:
            raise PermissionError(errno.EPERM, "not the whole domain")
        found = tuple(Nanoseconds(n) for n in range(self.samples))
        return Samples(overruns={Load.USER: found, Load.CALLS: found})


def measured(
    kernel: Kernel,
    held: Sequence[Reservation] = (),
    *,
    wanted: set[int] | None = None,
    others: AbstractSet[int] = frozenset(),
) -> Measurement:
    return measure_lateness(
        kernel.measure,
        online={0, 1, 2, 3},
        own={0, 1, 2, 3},
        wanted={2, 3} if wanted is None else wanted,
        held=lambda: held,
        occupied=lambda cores: bool(cores & others),
        stopped=lambda: False,
    )


def test_cpus_without_reservations_come_first() -> None:
    kernel = Kernel({0, 1}, {2}, {3})

    found = measured(kernel, [reservation(2), reservation(3)])

    assert kernel.asked == [{0, 1}]
    assert (found.user, found.calls, found.cause) == (6, 6, "")


def test_a_shared_domain_is_measured_only_while_nothing_is_reserved() -> None:
    kernel = Kernel({0, 1, 2, 3})

    free, taken = measured(kernel), measured(kernel, [reservation(ANY_CORE)])

    assert free.largest == 6
    assert taken.largest is None
    assert "reservations are held" in taken.cause
    assert kernel.asked == [{0, 1}, {0, 1, 2, 3}]


def test_a_single_core_that_is_free_serves_where_all_are_for_reservations() -> None:
    kernel = Kernel({0}, {1}, {2}, {3})

    found = measured(kernel, [reservation(0)], wanted={0, 1, 2, 3})

    assert found.largest == 6
    assert kernel.asked == [{1}]


def test_a_reservation_that_comes_meanwhile_ends_it() -> None:
    held: list[Reservation] = []
    went_on: list[bool] = []

    def measure(cores: AbstractSet[int], go_on: GoOn) -> Samples:
        del cores
        went_on.append(go_on())
        held.append(reservation(ANY_CORE))
        went_on.append(go_on())
        return Samples(overruns={Load.USER: (), Load.CALLS: ()})

    found = measure_lateness(
        measure,
        online={0, 1},
        own={0, 1},
        wanted={0, 1},
        held=lambda: held,
        occupied=lambda _cores: False,
        stopped=lambda: False,
    )

    assert went_on == [True, False]
    assert found.largest is None


def test_the_kernels_refusal_is_the_cause() -> None:
    found = measured(Kernel())

    assert "not the whole domain" in found.cause


@pytest.mark.parametrize(("samples", "known"), [(3, False), (4, True)])
def test_few_samples_are_no_measurement(samples: int, known: bool) -> None:
    found = measured(Kernel({0, 1}, samples=samples))

    assert (found.largest is not None) is known


def taken(found: Samples) -> Measurement:
    """What counts of these samples."""
    return measure_lateness(
        lambda cores, go_on: found,  # noqa: ARG005
        online={0, 1},
        own={0, 1},
        wanted={1},
        held=lambda: (),
        occupied=lambda _cores: False,
        stopped=lambda: False,
    )


def times(*samples: int) -> tuple[Nanoseconds, ...]:
    return tuple(map(Nanoseconds, samples))


@pytest.mark.parametrize(
    ("samples", "expected"), [((5, 6, 7, 9000), 7), ((5, 8000, 7, 9000), 8000)]
)
def test_one_sample_alone_is_no_witness(samples: tuple[int, ...], expected: int) -> None:
    found = taken(Samples(overruns={Load.USER: times(*samples)}))

    assert found == Measurement(user=Nanoseconds(expected))


@pytest.mark.parametrize(("outliers", "expected"), [((2, 0), 0), ((2, 1), 0), ((2, 2), 880)])
def test_what_calls_add_to_the_cost_is_seen_in_each_round(
    outliers: tuple[int, int], expected: int
) -> None:
    calm = times(*[20] * 160)
    rounds = [
        {Load.USER: calm, Load.CALLS: times(*[900] * many, *[20] * (160 - many))}
        for many in outliers
    ]

    assert taken(Samples(wake_ups=rounds)) == Measurement(by_calls=Nanoseconds(expected))


def test_a_machine_that_stands_still_once_beside_user_mode_hides_no_call() -> None:
    rounds = [
        {Load.USER: times(*[900] * many, *[20] * 160), Load.CALLS: times(*[720] * 160)}
        for many in (9, 0)
    ]

    assert taken(Samples(wake_ups=rounds)) == Measurement(by_calls=Nanoseconds(700))


def test_of_one_that_always_stands_still_nothing_is_said_of_calls() -> None:
    beside = {
        Load.USER: times(*[STANDSTILL + 1] * 2, *[20] * 160),
        Load.CALLS: times(*[16_000_000] * 160),
    }

    found = taken(Samples(wake_ups=[beside, beside]))

    assert (found.by_calls, "stands still" in found.cause) == (None, True)


@pytest.mark.parametrize(
    ("user", "calls", "expected"), [(6, 720, 714), (3_900, 3_950, 50), (900, 700, 0)]
)
def test_what_makes_user_mode_late_as_well_is_no_system_call(
    user: int, calls: int, expected: int
) -> None:
    by_load = {Load.USER: times(*[user] * 4), Load.CALLS: times(*[calls] * 4)}

    assert taken(Samples(wake_ups=[by_load])).by_calls == expected
    assert taken(Samples(overruns=by_load)) == Measurement(
        user=Nanoseconds(user), calls=Nanoseconds(calls)
    )


@pytest.mark.parametrize("lacking", Load)
def test_without_a_comparison_nothing_is_said_of_system_calls(lacking: Load) -> None:
    costs = {load: times(*[20] * 200) for load in Load if load is not lacking}

    assert "too few samples" in taken(Samples(wake_ups=[costs])).cause


def test_no_other_program_is_disturbed_such_as_another_rubicante_on_this_kernel() -> None:
    kernel = Kernel({0, 1}, {2}, {3})

    found = measured(kernel, others={1})
    nowhere = measured(Kernel({0, 1}, {2}, {3}), others={0, 1, 2, 3})

    assert found.largest == 6
    assert kernel.asked == [{2}]
    assert nowhere.cause == "other DEADLINE threads run on CPUs [3]"


def test_nothing_begins_or_goes_on_once_the_process_stops() -> None:
    stops = iter([False, False, True, True, True, True, True, True])
    asked: list[AbstractSet[int]] = []
    went_on: list[bool] = []

    def measure(cores: AbstractSet[int], go_on: GoOn) -> Samples:
        asked.append(cores)
        went_on.extend([go_on(), go_on()])
        raise TimeoutError("stopped")

    found = measure_lateness(
        measure,
        online={0, 1, 2, 3},
        own={0, 1, 2, 3},
        wanted={2, 3},
        held=lambda: (),
        occupied=lambda _cores: False,
        stopped=lambda: next(stops),
    )

    assert (asked, went_on) == ([{0, 1}], [True, False])
    assert "stopped" in found.cause
