"""Who is given what, and what changes nothing."""

from collections.abc import Iterable

import pytest

from daemons.rubicante.book.book import Book, Reserved
from daemons.rubicante.book.entry import Entry, Phase
from k40s.cpu.outcome import Admission, Rejection
from k40s.criticality import Criticality
from k40s.errors import KernelError, UnavailableError
from k40s.reasons import Reason
from k40s.units import NS_PER_S
from tests.fakes.rubicante.api_server import FakeStore
from tests.fakes.rubicante.books import Clock, make, reserve
from tests.fakes.rubicante.world import ask, node, task, uid


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def book(store: FakeStore, clock: Clock) -> Book:
    return make(store, clock)


def test_a_reservation_is_leased_and_counted(book: Book) -> None:
    outcome = reserve(book, ask(1))

    assert isinstance(outcome, Reserved)
    assert outcome.created
    assert outcome.entry.phase is Phase.LEASED
    assert book.node().utilization(1) == outcome.entry.reservations[0].server.bandwidth
    assert book.generation == 1


def test_a_repeat_changes_nothing_but_renews_the_lease(
    book: Book, store: FakeStore, clock: Clock
) -> None:
    first = reserve(book, ask(1))
    before = dict(store.texts)
    clock.now = 50 * NS_PER_S

    again = reserve(book, ask(1, generation=0))
    clock.now = 100 * NS_PER_S

    assert isinstance(first, Reserved)
    assert isinstance(again, Reserved)
    assert (again.entry, again.created) == (first.entry, False)
    assert store.texts == before
    assert not book.has_expired(uid(1))


def test_another_contract_of_a_leased_pod_replaces_the_first(book: Book) -> None:
    reserve(book, ask(1, task(wcet_ms=5)))

    outcome = reserve(book, ask(1, task(wcet_ms=2)))

    assert isinstance(outcome, Reserved)
    assert outcome.created
    (entry,) = book.entries()
    assert entry.request.workload == ask(1, task(wcet_ms=2)).workload


def test_another_contract_of_a_bound_pod_is_refused(book: Book) -> None:
    reserve(book, ask(1))
    book.confirm(uid(1))

    outcome = reserve(book, ask(1, task(wcet_ms=2)))

    assert isinstance(outcome, Rejection)
    assert outcome.reason is Reason.POD_CHANGED


def test_a_stale_generation_is_refused(book: Book) -> None:
    reserve(book, ask(1))

    outcome = reserve(book, ask(2, generation=0))

    assert isinstance(outcome, Rejection)
    assert outcome.reason is Reason.CPU_STALE_GENERATION
    assert len(book.entries()) == 1


def test_the_present_generation_is_accepted(book: Book) -> None:
    reserve(book, ask(1))

    assert isinstance(reserve(book, ask(2, task(wcet_ms=2), generation=1)), Reserved)


def test_a_refusal_changes_nothing(book: Book, store: FakeStore) -> None:
    outcome = reserve(book, ask(1, task(wcet_ms=99)))

    assert isinstance(outcome, Rejection)
    assert outcome.reason is Reason.CPU_NO_BANDWIDTH
    assert store.texts == {}
    assert book.generation == 0


def test_a_platform_without_a_wcet_is_refused(book: Book) -> None:
    book.describe(node(platform="arm"))

    outcome = book.preview(ask(1))

    assert isinstance(outcome, Rejection)
    assert outcome.reason is Reason.CPU_NO_WCET


def test_describing_the_node_anew_counts_as_a_change_only_when_it_is_one(book: Book) -> None:
    book.describe(node())
    same = book.generation

    book.describe(node(platform="arm"))

    assert (same, book.generation) == (0, 1)
    assert book.node().platform == "arm"


def test_judging_changes_nothing(book: Book, store: FakeStore) -> None:
    outcome = book.preview(ask(1))

    assert isinstance(outcome, Admission)
    assert store.texts == {}
    assert book.entries() == ()


def test_what_the_claim_raises_leaves_the_book_as_it_was(book: Book, store: FakeStore) -> None:
    def refuse(_entry: Entry, _others: Iterable[Entry]) -> None:
        raise KernelError("EINVAL")

    with pytest.raises(KernelError):
        book.reserve(ask(1), containers=("main",), claim=refuse)

    assert store.texts == {}
    assert book.entries() == ()
    assert book.node().reservations == ()


def test_a_store_that_fails_leaves_the_book_as_it_was(book: Book, store: FakeStore) -> None:
    store.broken = True

    with pytest.raises(UnavailableError):
        reserve(book, ask(1))

    assert book.entries() == ()
    assert book.generation == 0


def test_a_neighbour_whose_server_grows_is_written_in_the_same_breath(
    book: Book, store: FakeStore, clock: Clock
) -> None:
    reserve(book, ask(1, task(wcet_ms=2)))
    before = book.find(uid(1))

    reserve(book, ask(2, task(wcet_ms=2), criticality=Criticality.HI))

    after = make(store, clock).find(uid(1))
    assert before is not None
    assert after is not None
    assert after.reservations[0].server.budget > before.reservations[0].server.budget
    assert after.reservations[0].priorities < before.reservations[0].priorities
