from k40s.cpu.admission.growth import grown_budget, hierarchical_test_holds, standing_budget
from k40s.cpu.analysis import containment
from k40s.cpu.analysis.deferrable_server import deferrable
from k40s.cpu.analysis.response_time import (
    Interference,
    ServerParameters,
    TaskParameters,
    server_tasks_response,
)

MS = 1_000
TASKS = ((5 * MS, 100 * MS, 60 * MS),)
LITTLE = (deferrable(2 * MS, 50 * MS),)
MUCH = (deferrable(2 * MS, 50 * MS), deferrable(20 * MS, 60 * MS))
TICK = 1 * MS


def grown_from(
    tasks: tuple[TaskParameters, ...],
    server: ServerParameters,
    *,
    before: Interference,
    above: Interference,
    growable: bool,
) -> int | None:
    def standing() -> int | None:
        return standing_budget(tasks, server, before, tick=TICK, level_mates=1, cautious=False)

    return grown_budget(tasks, server, standing=standing, above=above, tick=TICK, growable=growable)


def grown(server: tuple[int, int], *, growable: bool = True, before: bool = False) -> int | None:
    above = LITTLE if before else MUCH
    return grown_from(TASKS, server, before=LITTLE, above=above, growable=growable)


def test_what_suffices_stays_as_it_is() -> None:
    assert grown((5 * MS, 80 * MS), before=True) == 5 * MS
    assert grown((10 * MS, 95 * MS), growable=False) == 10 * MS


def test_a_server_that_contains_its_tasks_grows_to_contain_them_again() -> None:
    period = 95 * MS
    assert not hierarchical_test_holds(TASKS, (5 * MS, period), LITTLE, TICK)

    assert grown((5 * MS, period)) == containment.least_budget(TASKS, period, MUCH, TICK)
    assert grown((5 * MS, period), growable=False) is None


def test_tasks_that_may_be_behind_need_a_budget_for_their_backlog() -> None:
    period = 40 * MS
    assert hierarchical_test_holds(TASKS, (6 * MS, period), LITTLE, TICK)
    assert containment.contains(TASKS, (6 * MS, period), MUCH, TICK)
    assert not hierarchical_test_holds(TASKS, (6 * MS, period), MUCH, TICK)

    with_backlog = containment.backlog_budget(TASKS, period, LITTLE, TICK)

    assert with_backlog == 6 * MS
    assert grown((6 * MS, period), growable=False) == 6 * MS
    assert containment.backlog_budget(TASKS, 60 * MS, LITTLE, TICK) == 11 * MS


def test_waiting_tasks_are_contained_only_by_a_budget_that_settles_them() -> None:
    server = (6 * MS, 50 * MS)
    assert hierarchical_test_holds(TASKS, server, LITTLE, TICK)
    assert containment.contains(TASKS, server, MUCH, TICK)

    assert grown(server) == containment.backlog_budget(TASKS, 50 * MS, LITTLE, TICK) == 11 * MS
    assert grown(server, growable=False) is None


def test_a_budget_larger_than_needed_never_shrinks() -> None:
    assert not hierarchical_test_holds(TASKS, (20 * MS, 60 * MS), MUCH, TICK)

    assert grown((20 * MS, 60 * MS)) == 20 * MS
    assert grown((20 * MS, 60 * MS), growable=False) == 20 * MS


def test_a_server_that_need_not_get_its_budget_is_not_waited_for() -> None:
    server = (32 * MS, 40 * MS)
    assert server_tasks_response(TASKS, server, MUCH, TICK) is not None

    assert not hierarchical_test_holds(TASKS, server, MUCH, TICK)


def test_waiting_tasks_with_a_lasting_backlog_are_not_contained() -> None:
    tasks, server, above = ((31 * MS, 100 * MS, 60 * MS),), (31 * MS, 40 * MS), (4 * MS, 60 * MS)
    assert hierarchical_test_holds(tasks, server, (), TICK)
    assert containment.contains(tasks, server, (deferrable(*above),), TICK)

    found = grown_from(tasks, server, before=(), above=(deferrable(*above),), growable=False)

    assert found is None


def test_no_budget_settles_what_never_catches_up() -> None:
    assert containment.backlog_budget(TASKS, 40 * MS, (deferrable(35 * MS, 40 * MS),), 0) is None
    assert containment.backlog_budget(((5, 9, 9),), 4, (), 0) is None


def test_no_budget_helps_tasks_that_others_make_late() -> None:
    above = (deferrable(50 * MS, 100 * MS),)

    assert grown_from(TASKS, (5 * MS, 95 * MS), before=(), above=above, growable=True) is None


def test_what_a_budget_that_suffices_stands_on_is_not_asked_for() -> None:
    asked: list[str] = []

    def standing() -> int | None:
        asked.append("standing")
        return None

    kept = grown_budget(
        TASKS, (6 * MS, 40 * MS), standing=standing, above=LITTLE, tick=TICK, growable=True
    )

    assert (kept, asked) == (6 * MS, [])
