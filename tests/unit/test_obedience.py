"""Which jobs of a soundness run count; the threads themselves run on the real kernel only."""

from tests.kernel.obedience import Spent, obeyed


def _job(release: int, finish: int, cpu: int) -> Spent:
    return Spent(release=release, finish=finish, cpu=cpu, wcet=10)


def test_jobs_within_their_wcet_count() -> None:
    assert obeyed([_job(0, 10, 10), _job(100, 180, 3)]) == [True, True]


def test_a_job_beyond_its_wcet_and_those_that_pay_for_it_do_not_count() -> None:
    jobs = [_job(0, 110, 14), _job(100, 115, 8), _job(200, 215, 8), _job(300, 310, 8)]

    assert obeyed(jobs) == [False, False, False, True]


def test_what_was_left_unused_before_pays_for_nothing() -> None:
    assert obeyed([_job(0, 10, 1), _job(100, 120, 11)]) == [True, False]


def test_who_runs_beside_an_overrun_of_the_same_reservation_does_not_count() -> None:
    beside = [_job(0, 90, 10), _job(200, 210, 10)]

    assert obeyed([*beside, _job(50, 60, 11), _job(150, 160, 9)]) == [False, True, False, False]
