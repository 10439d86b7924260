import pytest

from k40s.cpu.analysis.response_time import demand_completion, response_time


def responses(tasks: list[tuple[int, int]]) -> list[int | None]:
    """Response times of tasks (C, T) with D = T, given from most to least urgent."""
    found = []
    for index, (wcet, period) in enumerate(tasks):
        above = tuple((c, t, 0) for c, t in tasks[:index])
        found.append(response_time(wcet=wcet, deadline=period, above=above))
    return found


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ([(3, 7), (3, 12), (5, 20)], [3, 6, 20]),
        ([(5, 20), (10, 40), (40, 80)], [5, 15, 80]),
        ([(1, 4), (2, 6), (3, 10)], [1, 3, 10]),
        ([(40, 100), (40, 150), (100, 350)], [40, 80, 300]),
    ],
)
def test_textbook_sets_have_their_published_response_times(
    tasks: list[tuple[int, int]], expected: list[int]
) -> None:
    assert responses(tasks) == expected


def test_a_deferrable_server_above_hits_twice() -> None:
    server = (2, 6, 4)

    assert response_time(wcet=2, deadline=8, above=(server,)) == 6
    assert response_time(wcet=3, deadline=10, above=(server, (2, 8, 0))) is None
    assert response_time(wcet=3, deadline=13, above=(server, (2, 8, 0))) == 13


def test_blocking_and_release_jitter_lengthen_the_response() -> None:
    assert response_time(wcet=2, deadline=20, above=((1, 10, 0),), blocking=3, jitter=4) == 10


def test_a_task_that_starves_has_no_response_time() -> None:
    assert response_time(wcet=1, deadline=10**9, above=((2, 4, 0), (2, 4, 0))) is None


def test_an_iteration_that_creeps_is_decided_at_its_limit() -> None:
    endless, slow = ((1, 1, 0),), ((999, 1_000, 0),)

    assert demand_completion(1, endless, limit=10**15) is None
    assert demand_completion(10**6, slow, limit=2 * 10**9) == 1_999_000_000
