"""The entry that a bind writes."""

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

import pytest

from k40s.criticality import Criticality
from k40s.ledger.entry import Owner
from k40s.ledger.entry_json import MOST_ENTRIES
from k40s.reasons import Reason
from k40s.tenants.assignment import Assignment
from k40s.tenants.ledger import Booking, TenantReservation, TenantState, find_booking
from k40s.tenants.model import Bounds, Need, Usage
from tests.fakes.extender.tenants import make_tenant

UNTIL = datetime(2026, 3, 1, 12, tzinfo=UTC)
WANTED = TenantReservation(
    owner=Owner(uid="u", namespace="default", name="p"),
    node="n",
    criticality=Criticality.LOW,
    bandwidth=Fraction(1, 4),
)


def book(state: TenantState, wanted: TenantReservation = WANTED) -> Booking | Reason:
    return find_booking(state, wanted, (), attempt="a", until=UNTIL)


def holding(*entries: TenantReservation) -> TenantState:
    return replace(make_tenant(cpus="0.3"), reservations=entries)


def test_a_new_entry_expires() -> None:
    entry = replace(WANTED, attempt="a", until=UNTIL)

    assert book(holding()) == Booking(entry=entry, own=None, created=True)


def test_the_entry_of_a_bound_pod_stays_as_it_is() -> None:
    assert book(holding(WANTED)) == Booking(entry=WANTED, own=WANTED, created=False)


def test_a_bound_pod_does_not_count_otherwise_all_at_once() -> None:
    assert book(holding(WANTED), replace(WANTED, bandwidth=Fraction(1, 5))) is Reason.POD_CHANGED


def test_an_entry_on_another_node_counts_once_with_it() -> None:
    elsewhere = replace(WANTED, node="m", until=UNTIL)

    found = book(holding(elsewhere))

    assert isinstance(found, Booking)
    assert found.created


def test_a_ledger_that_is_full_takes_no_more() -> None:
    crowd = [
        replace(WANTED, owner=replace(WANTED.owner, uid=f"u{n}"), bandwidth=Fraction(0))
        for n in range(MOST_ENTRIES)
    ]

    assert book(holding(*crowd)) is Reason.TENANT_FULL


def test_bounds_are_not_negative() -> None:
    with pytest.raises(ValueError, match="bandwidth"):
        Bounds(bandwidth=Fraction(-1))
    with pytest.raises(ValueError, match="pods"):
        Bounds(hi_pods=-1)


def test_of_two_needs_of_one_pod_the_larger_counts() -> None:
    low = Need(uid="u", namespace="n", criticality=Criticality.LOW, bandwidth=Fraction(1))
    high = replace(low, criticality=Criticality.HI, bandwidth=Fraction(1, 2))

    for both in ((low, high), (high, low)):
        assert (Usage.of(both).bandwidth, Usage.of(both).high) == (Fraction(1), 1)


def test_a_default_with_a_fault_is_not_replaced_by_one_of_unknown_namespaces() -> None:
    unknown = replace(make_tenant("a", fault="spec: found 1"), namespaces=None)

    found = Assignment.of([unknown, make_tenant("default")])

    assert found.find("x") is Reason.TENANT_INVALID
