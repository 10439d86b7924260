import pytest

from k40s.cpu.analysis.supply_bound import Supply, linear_bound, periodic_resource, response_on


def test_the_periodic_resource_model_supplies_as_published() -> None:
    supply = periodic_resource(3, 10)

    found = [supply.bound(t) for t in (0, 14, 15, 17, 24, 25, 27, 37, 47)]

    assert found == [0, 0, 1, 3, 3, 4, 6, 9, 12]


def test_the_linear_bound_lies_below() -> None:
    supply = periodic_resource(3, 10)

    assert [linear_bound(supply, t) for t in (15, 24, 34)] == [0, 3, 6]


def test_an_early_deadline_shortens_the_blackout() -> None:
    assert Supply(budget=3, period=10, deadline=7).bound(14) == 3


def test_the_tick_is_taken_off_the_supply() -> None:
    assert periodic_resource(3, 10, tick=2).bound(27) == 4
    assert periodic_resource(3, 10, tick=2).bound(15) == 0


def test_the_published_example_needs_a_budget_of_three_and_a_half() -> None:
    tasks = ((700, 5_000, 5_000), (900, 7_500, 7_500))

    def serves(budget: int) -> bool:
        supply = periodic_resource(budget, 1_000)
        return all(
            response_on(supply, task, tasks[:index]) is not None for index, task in enumerate(tasks)
        )

    assert min(budget for budget in range(1, 1_001) if serves(budget)) == 350


def test_blocking_delays_a_task_on_a_supply() -> None:
    supply = periodic_resource(10, 10)

    assert response_on(supply, (3, 20, 20), ((2, 10, 10),), blocking=1) == 6


def test_a_task_on_a_supply_that_creeps_is_decided_at_its_deadline() -> None:
    supply, far = periodic_resource(9, 9), 2 * 10**9

    assert response_on(supply, (1, far, far), ((1, 1, 1),)) is None
    assert response_on(supply, (10**6, far, far), ((999, 1_000, 9),)) == 1_999_000_000


@pytest.mark.parametrize(
    ("budget", "deadline", "tick"), [(0, 10, 0), (5, 4, 0), (5, 11, 0), (5, 10, -1)]
)
def test_refuses_a_supply_that_cannot_be(budget: int, deadline: int, tick: int) -> None:
    with pytest.raises(ValueError, match="budget <= deadline <= period"):
        Supply(budget=budget, period=10, deadline=deadline, tick=tick)
