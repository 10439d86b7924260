from fractions import Fraction

from k40s.cpu.analysis.deferrable_server import hyperbolic_bound_holds, responses_below, tasks_bound


def test_the_bound_without_a_server_is_the_one_of_liu_and_layland() -> None:
    assert abs(tasks_bound(Fraction(0)) - 0.693147) < 1e-6
    assert abs(tasks_bound(Fraction(0), 3) - 0.779763) < 1e-6


def test_what_the_hyperbolic_form_accepts_meets_its_deadlines() -> None:
    tasks = ((15, 100, 100), (15, 130, 130))

    assert hyperbolic_bound_holds(tasks, (10, 30))
    assert responses_below(tasks, [(10, 30)]) == (35, 60)


def test_the_hyperbolic_form_speaks_of_implicit_deadlines_below_the_shortest_period() -> None:
    assert hyperbolic_bound_holds(((1, 100, 100),), (10, 30))
    assert not hyperbolic_bound_holds(((1, 100, 90),), (10, 30))
    assert not hyperbolic_bound_holds(((1, 20, 20),), (10, 30))


def test_a_refusal_of_the_hyperbolic_form_is_no_refusal() -> None:
    tasks = ((40, 60, 60),)

    assert not hyperbolic_bound_holds(tasks, (10, 60))
    assert responses_below(tasks, [(10, 60)]) == (60,)


def test_several_servers_and_ticks_add_up() -> None:
    task = (10, 100, 100)

    assert responses_below((task,), [(10, 50)]) == (30,)
    assert responses_below((task,), [(10, 50)], 2) == (32,)
    assert responses_below((task,), [(10, 50), (5, 50)], 2) == (44,)
