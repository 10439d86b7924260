import pytest

from daemons.rubicante.kernel.threads import Thread
from daemons.rubicante.matching import match, rescan_delay


def thread(tid: int, name: str, started: int = 0) -> Thread:
    return Thread(tid=tid, started=started or tid, name=name)


MAIN = thread(1, "python3")
A, B = thread(2, "a"), thread(3, "b")


def test_each_task_gets_the_thread_of_its_name() -> None:
    assert match(["a", "b"], [MAIN, B, A], main=None, held={}) == {"a": A, "b": B}


def test_the_oldest_of_a_name_is_the_task_and_its_children_are_not() -> None:
    child = thread(9, "a")

    assert match(["a"], [child, A], main=MAIN, held={}) == {"a": A}


def test_the_thread_held_before_stays_although_another_is_older() -> None:
    older = thread(8, "a", started=1)

    assert match(["a"], [older, A], main=MAIN, held={"a": A}) == {"a": A}


def test_a_held_thread_that_took_another_name_stays() -> None:
    renamed = thread(2, "other")

    assert match(["a", "b"], [renamed, B], main=None, held={"a": A}) == {"a": renamed, "b": B}


def test_a_held_thread_that_took_another_tasks_name_is_that_task() -> None:
    renamed = thread(2, "b")

    assert match(["a", "b"], [renamed], main=None, held={"a": A}) == {"b": renamed}


def test_a_later_thread_with_the_tid_of_a_dead_one_is_another() -> None:
    reused = thread(2, "x", started=99)

    assert match(["a"], [reused, MAIN], main=MAIN, held={"a": A}) == {"a": MAIN}


def test_one_task_without_a_name_is_the_main_thread() -> None:
    assert match(["a"], [MAIN, B], main=MAIN, held={}) == {"a": MAIN}


def test_two_tasks_without_names_are_nobody() -> None:
    assert match(["x", "y"], [MAIN, B], main=MAIN, held={}) == {}


def test_names_count_as_far_as_the_kernel_keeps_them() -> None:
    long = thread(4, "controller-loop")

    assert match(["controller-loop"], [long], main=None, held={}) == {"controller-loop": long}


@pytest.mark.parametrize("age", [0.0, 0.2, 0.3, 0.9, 1.0, 9.9, 10.0, 1e6])
def test_looks_become_rarer_with_age(age: float) -> None:
    assert rescan_delay(age) <= rescan_delay(age + 1) <= 1.0
