from k40s.cpu.nesting import least_ancestor_budget


def test_an_ancestor_covers_two_budgets_back_to_back_of_each_child() -> None:
    assert least_ancestor_budget([(2, 10)], 10, 0) == 4
    assert least_ancestor_budget([(2, 10), (3, 20)], 10, 0) == 4 + 6


def test_overruns_and_late_charges_are_covered() -> None:
    assert least_ancestor_budget([(2, 10)], 12, 0) == 4
    assert least_ancestor_budget([(2, 10)], 12, 1) == 3 * 2 + 1


def test_over_a_long_period_it_comes_near_the_sum_of_shares() -> None:
    assert least_ancestor_budget([(10, 100), (20, 100)], 1_000, 0) == 110 + 220


def test_an_ancestor_like_its_child_would_throttle_it() -> None:
    assert least_ancestor_budget([(30, 100)], 100, 0) > 30
