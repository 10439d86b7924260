from fractions import Fraction

from k40s.cpu.admission.schedulability import core_holds, deadlines_hold, node_holds
from tests.unit.cpu.cpu_builders import held, node, task


def test_a_core_that_admission_could_have_made_holds() -> None:
    top = held("a", 24.12, 100, task(20, 100), priorities=(98,))

    assert core_holds(node(top), 0)


def test_a_budget_one_microsecond_too_small_fails() -> None:
    top = held("a", 24.119, 100, task(20, 100), priorities=(98,))

    assert not core_holds(node(top), 0)


def test_a_server_that_does_not_get_its_budget_fails_if_its_tasks_could_use_it_up() -> None:
    top = held("a", 5, 10, task(1, 100), priorities=(98,))
    below = held("b", 5, 10, task(7, 1000), priorities=(97,))

    assert not deadlines_hold((top, below), 0)


def test_a_budget_that_contains_its_tasks_suffices_however_late_it_could_be() -> None:
    top = held("a", 5, 10, task(1, 100), priorities=(98,))
    below = held("b", 5, 10, task(1, 1000), priorities=(97,))
    too_little = held("b", 1.119, 10, task(1, 1000), priorities=(97,))

    assert deadlines_hold((top, below), 0)
    assert not deadlines_hold((top, too_little), 0)


def test_a_containing_budget_covers_a_tick_more_than_its_period() -> None:
    """Within 95 ms comes one job; what ran before a refill may be charged after it."""
    one_job = held("a", 1.12, 93, task(1, 95), priorities=(98,))

    assert core_holds(node(one_job, tick=2), 0)
    assert not core_holds(node(one_job, tick=2.001), 0)


def test_equal_priorities_of_two_containers_interfere_both_ways() -> None:
    one = held("a", 5, 10, task(6, 100), priorities=(98,))
    other = held("b", 2, 10, task(3, 100), priorities=(97,))
    equal = held("b", 2, 10, task(3, 100), priorities=(98,))

    assert deadlines_hold((other,), 0)
    assert not deadlines_hold((one, other), 0)
    assert not deadlines_hold((one, equal), 0)
    assert not deadlines_hold((equal, one), 0)


def test_interleaved_bands_are_judged_by_the_lowest_task() -> None:
    two_levels = held("a", 4.5, 10, task(3, 50), task(3, 90), priorities=(98, 96))
    between = held("b", 3, 40, task(1, 90), priorities=(97,))
    below = held("b", 3, 40, task(1, 90), priorities=(95,))

    assert deadlines_hold((two_levels, below), 0)
    assert not deadlines_hold((two_levels, between), 0)


def test_equal_priorities_inside_a_container_interfere_both_ways() -> None:
    distinct = held("a", 10, 10, task(3, 100), task(3, 100, 7), priorities=(97, 98))
    equal = held("a", 10, 10, task(3, 100), task(3, 100, 6), priorities=(98, 98))

    assert deadlines_hold((distinct,), 0)
    assert not deadlines_hold((equal,), 0)


def test_a_server_that_may_run_across_its_refill_uncharged_fails() -> None:
    short = held("a", 6, 10, task(7, 30), priorities=(98,))

    assert core_holds(node(short, tick=4), 0)
    assert not core_holds(node(short, tick=4.001), 0)


def test_a_core_over_its_capacity_or_without_headroom_fails() -> None:
    half = held("a", 45, 100, task(20, 100), priorities=(98,))
    long = held("a", 480, 1000, task(200, 1000), priorities=(98,))

    assert core_holds(node(half), 0)
    assert not core_holds(node(half, core_capacity=Fraction(4, 10)), 0)
    assert not core_holds(node(long), 0)


def test_a_node_holds_when_its_cores_do_and_their_sum_fits() -> None:
    first = held("a", 30, 100, task(20, 100), priorities=(98,))
    second = held("b", 30, 100, task(20, 100), priorities=(98,), core=1)
    broken = held("b", 10, 100, task(20, 100), priorities=(98,), core=1)

    assert node_holds(node(first, second, cores=2))
    assert not node_holds(node(first, second, cores=2, node_capacity=Fraction(1, 2)))
    assert not node_holds(node(first, broken, cores=2))
