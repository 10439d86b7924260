"""What a tenant may have beside what it has."""

from fractions import Fraction

from k40s.criticality import Criticality
from k40s.reasons import Reason
from k40s.tenants.model import Bounds, Need, find_refusal


def need(uid: str, *, high: bool = False, bandwidth: str = "0") -> Need:
    return Need(
        uid=uid,
        namespace="plant",
        criticality=Criticality.HI if high else Criticality.LOW,
        bandwidth=Fraction(bandwidth),
    )


def test_without_bounds_everything_is_allowed() -> None:
    held = [need(str(n), high=True, bandwidth="1") for n in range(9)]

    assert find_refusal(Bounds(), held, need("new", high=True, bandwidth="1")) is None


def test_a_criticality_that_is_not_listed_is_refused() -> None:
    bounds = Bounds(criticalities=frozenset({Criticality.NO, Criticality.LOW}))

    assert find_refusal(bounds, [], need("new", high=True)) is Reason.TENANT_CRITICALITY


def test_the_bandwidth_may_be_used_to_the_full_and_not_beyond() -> None:
    bounds, held = Bounds(bandwidth=Fraction(1)), [need("a", bandwidth="0.6")]

    assert find_refusal(bounds, held, need("b", bandwidth="0.4")) is None
    assert find_refusal(bounds, held, need("b", bandwidth="0.41")) is Reason.TENANT_BANDWIDTH


def test_a_pod_without_real_time_tasks_needs_no_bandwidth() -> None:
    bounds, held = Bounds(bandwidth=Fraction(0)), [need("a", bandwidth="0.6")]

    assert find_refusal(bounds, held, need("b")) is None


def test_hi_pods_are_counted_and_others_are_not() -> None:
    bounds, held = Bounds(hi_pods=1), [need("a", high=True)]

    assert find_refusal(bounds, held, need("b", high=True)) is Reason.TENANT_HI_PODS
    assert find_refusal(bounds, held, need("b")) is None


def test_a_pod_is_not_counted_beside_itself() -> None:
    bounds, held = Bounds(hi_pods=1, bandwidth=Fraction(1)), [need("a", high=True, bandwidth="1")]

    assert find_refusal(bounds, held, need("a", high=True, bandwidth="1")) is None
