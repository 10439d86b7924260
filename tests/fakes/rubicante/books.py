"""A book of reservations by itself, with a clock that only tests move."""

from collections.abc import Iterable

from daemons.rubicante.book.book import Book, Reserved
from daemons.rubicante.book.entry import Entry, Phase
from k40s.cpu.admission.admit import admit
from k40s.cpu.outcome import Rejection
from k40s.node_api.messages import ReservationRequest
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.rubicante.api_server import FakeStore
from tests.fakes.rubicante.world import node


class Clock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def make(store: FakeStore, clock: Clock) -> Book:
    lease = Nanoseconds(60 * NS_PER_S)
    return Book(store=store, node=node(), admit=admit, lease=lease, clock=clock)


def consent(entry: Entry, _others: Iterable[Entry]) -> None:
    assert entry.phase is Phase.LEASED


def reserve(book: Book, request: ReservationRequest) -> Reserved | Rejection:
    return book.reserve(request, containers=("main",), claim=consent)
