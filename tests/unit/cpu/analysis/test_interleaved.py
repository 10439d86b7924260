from k40s.cpu.analysis.containment import Group, core_responses, group_responses
from k40s.cpu.analysis.deferrable_server import deferrable
from k40s.cpu.analysis.response_time import server_tasks_response

TASK = (3, 40, 40)


def test_disjoint_bands_are_judged_as_by_the_hierarchical_test() -> None:
    upper = Group((2, 10), ((2, 30, 30),), (9,))
    lower = Group((3, 10), (TASK, (1, 80, 80)), (5, 4))

    assert group_responses(1, [upper, lower], 0) == server_tasks_response(
        lower.tasks, lower.server, (deferrable(2, 10),), 0
    )


def test_a_task_above_another_server_does_not_wait_for_it() -> None:
    interleaved = Group((3, 10), (TASK, TASK), (7, 3))
    other = Group((2, 10), ((2, 40, 40),), (5,))

    found = core_responses([interleaved, other], 0)

    assert found is not None
    assert found[0][0] == 10
    assert found[0][1] > found[0][0]


def test_equal_priorities_interfere_both_ways() -> None:
    groups = [Group((3, 10), (TASK,), (5,)), Group((3, 10), (TASK,), (5,))]

    found = core_responses(groups, 0)

    assert found == ((9,), (9,))
    assert group_responses(0, [groups[0]], 0) == (3,)


def test_equal_priorities_inside_a_server_interfere_both_ways() -> None:
    group = Group((10, 10), (TASK, TASK), (5, 5))

    assert group_responses(0, [group], 0) == (6, 6)


def test_what_contains_its_tasks_is_not_stopped_by_its_budget() -> None:
    assert group_responses(0, [Group((6, 10), (TASK,), (5,))], 0) == (3,)
    assert group_responses(0, [Group((2, 10), (TASK,), (5,))], 0) == (19,)


def test_what_preempts_everything_counts_in_every_group() -> None:
    always = (deferrable(1, 5),)

    assert group_responses(0, [Group((3, 10), (TASK,), (5,))], 0, always) == (5,)
    assert group_responses(0, [Group((2, 10), (TASK,), (5,))], 0, always) == (21,)


def test_a_core_with_one_late_task_has_no_bounds() -> None:
    fits = Group((3, 10), (TASK,), (5,))

    assert core_responses([fits, Group((2, 10), ((4, 10, 10),), (3,))], 0) is None
    assert core_responses([fits, Group((6, 10), ((9, 12, 12),), (3,))], 0) is None


def test_the_server_itself_must_get_its_budget() -> None:
    above = Group((8, 10), ((1, 40, 40),), (9,))

    assert core_responses([above, Group((3, 10), ((3, 80, 80),), (3,))], 0) is not None
    assert core_responses([above, Group((3, 10), ((4, 80, 80),), (3,))], 0) is None
