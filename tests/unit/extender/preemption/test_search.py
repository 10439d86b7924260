"""The search for the least set of victims, on its own."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from extender.preemption.search import Candidate, VictimSearch
from k40s.criticality import Criticality


def candidate(uid: str, tenths: int, criticality: Criticality = Criticality.LOW) -> Candidate:
    return Candidate(uid=uid, criticality=criticality, bandwidth=Fraction(tenths, 10))


def search(*candidates: Candidate, need: int, unlucky: tuple[str, ...] = ()) -> VictimSearch:
    """``need`` tenths are enough, unless the set has all of the ``unlucky``."""
    held = {one.uid: one.bandwidth for one in candidates}

    def may_fit(uids: frozenset[str]) -> bool:
        return sum((held[uid] for uid in uids), Fraction(0)) >= Fraction(need, 10)

    def fits(uids: frozenset[str]) -> bool:
        return may_fit(uids) and not (unlucky and uids >= set(unlucky))

    return VictimSearch(candidates, lacking=Fraction(need, 20), may_fit=may_fit, fits=fits)


def least(found: VictimSearch) -> list[str] | None:
    victims = found.least(late=lambda: False)
    return None if victims is None else sorted(one.uid for one in victims)


def test_lower_criticality_comes_before_fewer_pods_and_these_before_less_bandwidth() -> None:
    no = [candidate(f"no{number}", 1, Criticality.NO) for number in range(3)]
    low = [candidate("low3", 3), candidate("low5", 5), candidate("low4", 4)]

    assert least(search(*no, *low, need=3)) == ["no0", "no1", "no2"]
    assert least(search(*no, *low, need=4)) == ["low4"]
    assert least(search(*low, need=13)) is None


def test_of_sets_of_one_size_the_one_that_gives_back_least_is_taken() -> None:
    low = [candidate("a", 3), candidate("b", 5), candidate("c", 4)]

    assert least(search(*low, need=7)) == ["a", "c"]
    assert least(search(*low, need=8)) == ["a", "b"]


def test_a_set_that_passes_the_necessary_condition_only_is_passed_over() -> None:
    low = [candidate("a", 3), candidate("b", 5), candidate("c", 4)]

    assert least(search(*low, need=7, unlucky=("a", "c"))) == ["a", "b"]


def test_nothing_is_concluded_from_a_larger_set() -> None:
    """All together are refused, and yet one of them is enough."""
    low = [candidate("a", 3), candidate("b", 5)]

    assert least(search(*low, need=3, unlucky=("a", "b"))) == ["a"]


def test_when_time_is_up_it_gives_up() -> None:
    late = search(candidate("a", 3), need=3)

    assert late.least(late=lambda: True) is None
    asked = iter([False, True])
    assert late.least(late=lambda: next(asked)) is None


def test_some_set_that_is_enough_leaves_out_whoever_need_not_go() -> None:
    pool = [candidate("large", 5), candidate("larger", 6), candidate("small", 1)]

    found = search(*pool, need=6).enough(late=lambda: False)

    assert found is not None
    assert [one.uid for one in found] == ["larger"]


def test_some_set_is_none_where_all_are_not_enough_and_where_time_is_up() -> None:
    pool = [candidate("a", 1), candidate("b", 1)]

    assert search(*pool, need=3).enough(late=lambda: False) is None
    assert search(*pool, need=1).enough(late=lambda: True) is None


@given(
    pool=st.lists(st.tuples(st.integers(1, 9), st.sampled_from(Criticality)), max_size=8),
    need=st.integers(1, 20),
)
def test_some_set_exists_where_a_least_one_does_and_none_of_it_can_stay(
    pool: list[tuple[int, Criticality]], need: int
) -> None:
    pods = [candidate(f"p{number}", *held) for number, held in enumerate(pool)]
    tried = search(*pods, need=need)

    found, best = tried.enough(late=lambda: False), tried.least(late=lambda: False)

    assert (found is None) == (best is None)
    if found is not None and best is not None:
        assert tried.is_enough(found)
        assert not any(tried.is_enough(tuple(set(found) - {one})) for one in found)
        assert max(one.criticality for one in found) == max(one.criticality for one in best)
