"""What a Tenant's object can hold."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

from k40s.criticality import Criticality
from k40s.kube.objects.tenants import entries_patch
from k40s.ledger.collection import CollectionPlan
from k40s.ledger.entry import Owner
from k40s.ledger.entry_json import MOST_ENTRIES
from k40s.reasons import Reason
from k40s.tenants.adoption import adopt
from k40s.tenants.assignment import Assignment
from k40s.tenants.ledger import DEFAULT, Booking, TenantReservation, TenantState, find_booking
from k40s.tenants.room import LARGEST, SHARE
from tests.fakes.extender.tenants import make_tenant

UNTIL = datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)
ETCD = 1_500_000


def entry(number: int, *, name: int = 5, namespace: str = "default") -> TenantReservation:
    return TenantReservation(
        owner=Owner(uid=f"{number:036}", namespace=namespace, name=f"{number:0{name}}"),
        node="n" * min(name, 63),
        attempt="a" * 16,
        until=UNTIL,
        criticality=Criticality.LOW,
        bandwidth=Fraction(1, 10**9),
    )


def book(state: TenantState, wanted: TenantReservation) -> Booking | Reason:
    return find_booking(state, wanted, (), attempt="a" * 16, until=UNTIL)


def fill(state: TenantState, *, name: int = 5, namespace: str = "default") -> TenantState:
    """Bind until it is refused."""
    held: list[TenantReservation] = []
    low, high = 0, MOST_ENTRIES + 1
    while high - low > 1:  # by bisection: a ledger that holds n holds less too
        middle = (low + high) // 2
        held = [entry(number, name=name, namespace=namespace) for number in range(middle - 1)]
        one = entry(middle, name=name, namespace=namespace)
        if isinstance(book(replace(state, reservations=tuple(held)), one), Booking):
            low = middle
        else:
            high = middle
    held = [entry(number, name=name, namespace=namespace) for number in range(low)]
    return replace(state, reservations=tuple(held))


def test_pods_of_long_names_do_not_make_the_object_larger_than_etcd_takes() -> None:
    full = fill(make_tenant(), name=253)

    body = json.dumps(entries_patch(full.reservations, version="1"))

    assert book(full, entry(9999, name=253)) is Reason.TENANT_FULL
    assert LARGEST * 0.8 < len(body) < ETCD * 0.8


def test_pods_of_ordinary_names_are_bounded_by_their_number() -> None:
    assert len(fill(make_tenant(), name=10).reservations) > MOST_ENTRIES * 0.8


def test_no_namespace_takes_the_room_that_all_others_share() -> None:
    full = fill(make_tenant(DEFAULT), namespace="greedy")

    assert len(full.reservations) == MOST_ENTRIES // SHARE
    assert book(full, entry(9999, namespace="greedy")) is Reason.TENANT_FULL
    assert isinstance(book(full, entry(9999, namespace="modest")), Booking)


def test_bound_pods_are_taken_up_as_far_as_the_object_holds_them() -> None:
    line = make_tenant("line", ["default"])
    bound = {"default": [replace(entry(number, name=253), until=None) for number in range(4000)]}

    plan = adopt(CollectionPlan(reservations=()), "line", Assignment.of([line]), bound)

    assert len(json.dumps(entries_patch(plan.reservations, version="1"))) < ETCD * 0.8
    assert plan.added == len(plan.reservations) > 1000


def test_a_pod_that_has_its_entry_is_bound_in_a_full_object_too() -> None:
    full = fill(make_tenant(DEFAULT), namespace="greedy")

    again = book(full, full.reservations[0])

    assert isinstance(again, Booking)
    assert not again.created
