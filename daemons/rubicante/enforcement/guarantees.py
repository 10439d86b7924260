"""Which pods' deadlines the node guarantees no more, because it enforces later than it did.

Everything in the book was admitted at the δ and the delay of its time. So the whole test is due
only at the start, when these are not known, after each growth of one, and as long as it finds
somebody.
"""

from daemons.rubicante.book.book import Book
from k40s.cpu.admission.endangered import endangered_pods
from k40s.cpu.model import DeadlineOffer
from k40s.units import format_duration


class Guarantees:
    """Tests once for each generation of the book, and under its lock."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._generation: int | None = None
        self._offer: DeadlineOffer | None = None
        self._suspect = True
        self._found: frozenset[str] = frozenset()

    def broken(self) -> dict[str, str]:
        """Pods that may miss deadlines (by UID), and why."""
        with self._book.lock:
            self._look()
            return dict.fromkeys(self._found, _cause(self._offer)) if self._found else {}

    def _look(self) -> None:
        if self._book.generation == self._generation:
            return
        node, self._generation = self._book.standing(), self._book.generation
        if node.deadline is None:
            return
        before, self._offer = self._offer, node.deadline
        self._suspect |= before is not None and (
            node.deadline.tick > before.tick or node.deadline.delay > before.delay
        )
        if self._suspect:
            self._found = endangered_pods(node)
            self._suspect = bool(self._found)


def _cause(offer: DeadlineOffer | None) -> str:
    late = "" if offer is None else format_duration(offer.tick)
    text = f"this node's SCHED_DEADLINE budgets may be overrun by {late}"
    if offer is not None and offer.delay:
        text = f"{text}, and system calls delay its threads by {format_duration(offer.delay)} more"
    return f"{text}, which is more than it was admitted for"
