"""Restarts, leases, releases, and damage."""

from dataclasses import replace
from types import MappingProxyType

import pytest

from daemons.rubicante.book.book import Book, Reserved
from daemons.rubicante.book.entry import Entry, Phase, format_entry, parse_entry
from k40s.cpu.model import Reservation, Server, Task, total_bandwidth
from k40s.cpu.workload import WcetTable
from k40s.criticality import Criticality
from k40s.errors import UnavailableError
from k40s.node_api.messages import MAX_BODY
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from tests.fakes.rubicante.api_server import FakeStore
from tests.fakes.rubicante.books import Clock, make, reserve
from tests.fakes.rubicante.world import ask, task, uid


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def book(store: FakeStore, clock: Clock) -> Book:
    return make(store, clock)


def test_a_new_process_finds_the_book_and_its_generation(
    book: Book, store: FakeStore, clock: Clock
) -> None:
    reserve(book, ask(1))
    book.confirm(uid(1))
    reserve(book, ask(2, task(wcet_ms=2)))
    book.start_release(uid(2))

    again = make(store, clock)

    assert again.entries() == book.entries()
    assert again.generation == book.generation == 2
    assert total_bandwidth(again.node().reservations) > 0


def test_the_generation_never_goes_back(book: Book, store: FakeStore, clock: Clock) -> None:
    for _ in range(3):
        reserve(book, ask(1))
        book.start_release(uid(1))
        book.forget(uid(1))

    assert make(store, clock).generation == 6


def test_a_lease_runs_out_unless_confirmed(book: Book, clock: Clock) -> None:
    reserve(book, ask(1))
    reserve(book, ask(2, task(wcet_ms=2)))
    book.confirm(uid(2))
    early = book.has_expired(uid(1))
    clock.now = 60 * NS_PER_S

    assert not early
    assert [book.has_expired(uid(number)) for number in (1, 2, 3)] == [True, False, False]
    assert [entry.pod.uid for entry in book.due_leases()] == [uid(1)]


def test_a_new_process_gives_leases_their_time_anew(
    book: Book, store: FakeStore, clock: Clock
) -> None:
    reserve(book, ask(1))
    clock.now = 59 * NS_PER_S

    again = make(store, clock)
    clock.now = 118 * NS_PER_S

    assert not again.has_expired(uid(1))


def test_only_a_lease_can_be_confirmed(book: Book) -> None:
    nothing = book.confirm(uid(1))
    reserve(book, ask(1))

    assert not nothing
    assert book.confirm(uid(1))
    assert not book.confirm(uid(1))


def test_bandwidth_stays_reserved_until_the_kernel_has_let_go(book: Book) -> None:
    reserve(book, ask(1))
    held = book.node().utilization(1)

    assert book.start_release(uid(1))
    assert book.node().utilization(1) == held
    assert book.forget(uid(1))
    assert book.node().utilization(1) == 0


def test_letting_go_of_nothing_is_no_change(book: Book) -> None:
    assert not book.start_release(uid(1))
    assert not book.forget(uid(1))
    assert book.generation == 0


def test_a_pod_being_released_may_reserve_again(book: Book) -> None:
    reserve(book, ask(1))
    book.start_release(uid(1))

    outcome = reserve(book, ask(1))

    assert isinstance(outcome, Reserved)
    assert outcome.created
    assert outcome.entry.phase is Phase.LEASED


def test_an_entry_is_read_back_as_it_was(book: Book) -> None:
    outcome = reserve(book, ask(1, task("a", wcet_ms=1), task("b", wcet_ms=2)))

    assert isinstance(outcome, Reserved)
    assert parse_entry(format_entry(outcome.entry), pod_uid=uid(1)) == outcome.entry


def test_the_largest_request_that_is_taken_is_read_back_too() -> None:
    names = {f"platform-{number}": Nanoseconds(NS_PER_S - 1) for number in range(64)}
    tasks = tuple(
        replace(
            task(f"t{number}", period_ms=2000),
            wcet=WcetTable(by_platform=MappingProxyType(names)),
        )
        for number in range(64)
    )
    entry = Entry(
        request=ask(1, *tasks),
        containers=("main",),
        phase=Phase.LEASED,
        reservations=(_server("a", 1),),
    )

    text = format_entry(entry)

    assert len(text) > MAX_BODY
    assert parse_entry(text, pod_uid=uid(1)) == entry


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"request":"{}","containers":[],"phase":"leased","allocation":"{}"}',
        '{"request":1,"containers":[],"phase":"asleep","allocation":""}',
    ],
)
def test_a_damaged_store_is_unusable(store: FakeStore, clock: Clock, text: str) -> None:
    store.texts[f"pod/{uid(1)}"] = text

    with pytest.raises(UnavailableError, match="damaged"):
        make(store, clock)


def test_servers_of_one_container_are_told_apart_by_their_tasks() -> None:
    first, second = (_server(name, core) for name, core in (("a", 1), ("b", 2)))
    entry = Entry(
        request=ask(1), containers=("main",), phase=Phase.BOUND, reservations=(first, second)
    )
    grown = replace(second, server=Server(budget=_MS * 9, period=_MS * 100))

    after = entry.holding((grown, first))

    assert after.reservations == (first, grown)


def _server(name: str, core: int) -> Reservation:
    return Reservation(
        pod_uid=uid(1),
        container="main",
        core=core,
        criticality=Criticality.LOW,
        server=Server(budget=_MS * 8, period=_MS * 100),
        tasks=(Task(name=name, wcet=_MS, period=_MS * 100, deadline=_MS * 100),),
        priorities=(98,),
    )


_MS = Nanoseconds(NS_PER_MS)
