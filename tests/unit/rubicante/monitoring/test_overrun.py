"""Who is accused of an overrun, and with what evidence."""

import pytest

from daemons.rubicante.monitoring.overrun import Meter, Overrun, Reading
from k40s.cpu.model import Task
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

MS = Nanoseconds(NS_PER_MS)
TASK = Task(name="control", wcet=MS * 20, period=MS * 100, deadline=MS * 100)  # type: ignore[arg-type]


def meter(error: int = 0) -> Meter:
    return Meter(TASK, error=Nanoseconds(error))


def at(ms: float, used_ms: float, *, stolen_ms: float = 0) -> Reading:
    moment = round(ms * MS)
    return Reading(
        after=moment, before=moment, used=round(used_ms * MS), stolen=round(stolen_ms * MS)
    )


def test_a_task_that_uses_all_of_its_contract_is_not_accused() -> None:
    watched = meter()

    found = [watched.read(at(second * 1000, second * 200)) for second in range(100)]

    assert set(found) == {None}


def test_two_jobs_back_to_back_are_right() -> None:
    watched = meter()
    watched.read(at(0, 0))

    assert watched.read(at(40, 40)) is None


def test_more_than_two_jobs_at_once_are_an_overrun_with_its_evidence() -> None:
    watched = meter()
    watched.read(at(0, 1000))

    assert watched.read(at(1000, 1301)) == Overrun(
        task="control", window=NS_PER_S, used=301 * MS, allowed=240 * MS
    )


def test_the_evidence_is_one_sentence() -> None:
    overrun = Overrun(task="control", window=NS_PER_S, used=301 * MS, allowed=240 * MS)

    assert overrun.text == ("task control used 301 ms in 1.0 s; its contract allows at most 240 ms")


def test_a_slow_excess_is_found_in_the_end() -> None:
    watched = meter()

    found = [watched.read(at(second * 1000, second * 210)) for second in range(60)]

    overruns = [overrun for overrun in found if overrun is not None]
    assert len(overruns) > 5
    assert all(overrun.used > overrun.allowed for overrun in overruns)


def test_idle_time_is_no_credit_for_later() -> None:
    watched = meter()
    watched.read(at(0, 0))
    watched.read(at(60_000, 0))

    assert watched.read(at(60_100, 90)) is not None


def test_what_the_hypervisor_took_is_not_held_against_the_task() -> None:
    watched = meter()
    watched.read(at(0, 0))

    assert watched.read(at(1000, 301, stolen_ms=100)) is None


def test_stolen_time_that_is_not_told_yet_is_not_held_against_the_task_either() -> None:
    watched = meter()
    watched.read(at(0, 0, stolen_ms=100))

    assert watched.read(at(1000, 240 + 19, stolen_ms=110)) is None
    assert watched.read(at(1100, 240 + 19 + 41, stolen_ms=110)) is not None


def test_a_reading_may_lag_by_its_error() -> None:
    exact, lagging = meter(), meter(error=MS * 4)
    for watched in (exact, lagging):
        watched.read(at(0, 0))

    assert exact.read(at(40, 51)) is not None
    assert lagging.read(at(40, 51)) is None


def test_a_reader_that_is_delayed_accuses_nobody() -> None:
    watched = meter()
    watched.read(Reading(after=0, before=900 * MS, used=0))

    assert watched.read(Reading(after=910 * MS, before=911 * MS, used=215 * MS)) is None


@pytest.mark.parametrize("used", [0, 99])
def test_another_thread_with_the_same_number_begins_anew(used: int) -> None:
    watched = meter()
    watched.read(at(0, 100))

    assert watched.read(at(1, used)) is None
