"""Pods are told when their node enforces later, or delays them longer, than at their admission."""

from dataclasses import replace
from fractions import Fraction

import pytest

from daemons.rubicante.book.book import Book
from daemons.rubicante.enforcement.guarantees import Guarantees
from k40s.cpu.model import DeadlineOffer, Domain, Mechanism
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.rubicante.api_server import FakeStore
from tests.fakes.rubicante.books import Clock, make, reserve
from tests.fakes.rubicante.world import ask, node, task, uid

MS = Nanoseconds(NS_PER_MS)
OFFER = DeadlineOffer(tick=MS, capacity=Fraction(9, 10), domain=Domain.PARTITIONED)


@pytest.fixture
def book() -> Book:
    found = make(FakeStore(), Clock())
    found.describe(replace(node(), deadline=OFFER))
    wanted = ask(1, task(wcet_ms=1, period_ms=5), criticality=Criticality.HI)
    reserve(found, replace(wanted, workload=replace(wanted.workload, mechanism=Mechanism.DEADLINE)))
    assert found.standing().reservations
    return found


def test_a_growth_of_the_delay_alone_endangers_whose_budget_lacks_it(book: Book) -> None:
    guarantees = Guarantees(book)
    before = guarantees.broken()

    book.describe(replace(node(), deadline=replace(OFFER, delay=MS)))
    late = guarantees.broken()
    book.describe(replace(node(), deadline=OFFER))

    assert (before, set(late)) == ({}, {uid(1)})
    assert guarantees.broken() == {}
