"""Compares book, pods and kernel, and says where they differ.

What is ours is repaired by others, each where it can act: the informer's handler releases what pods
left, the keeper adopts pods that the book lost and sweeps what no reservation accounts for, the
enforcer brings threads and groups in line. This is the account of it, and of what is not ours and
so is never touched: groups and threads of others that take real-time bandwidth.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum, unique
from fractions import Fraction
from typing import Protocol

from daemons.rubicante.book import Book
from daemons.rubicante.entry import Phase
from daemons.rubicante.kernel.mechanism import Stray
from daemons.rubicante.kernel.strangers import Stranger
from daemons.rubicante.metrics import ReconciliationMetrics
from daemons.rubicante.notices import Notice, Notices
from k40s.annotations import ALLOCATION_KEY
from k40s.node_api import PodRef
from k40s.runtime.records import PodRecord

log = logging.getLogger(__name__)

_APART_SECONDS = 10.0
_SHOWN = 20
"""Differences of one kind that are told one by one."""


@unique
class Difference(StrEnum):
    """Kinds, also a metric's label. The last two are others' and only told."""

    UNRESERVED_POD = "unreserved-pod"
    ABANDONED_RESERVATION = "abandoned-reservation"
    STRAY = "stray"
    FOREIGN_GROUP = "foreign-group"
    FOREIGN_THREAD = "foreign-thread"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference, in words."""

    kind: Difference
    text: str


class StrangerSource(Protocol):
    """Finds real-time threads on our cores other than those that are ours."""

    def find(self, ours: AbstractSet[int]) -> Sequence[Stranger]:
        """By TID."""
        ...


class Reconciler:
    """``look`` does nothing while the last account is fresh. ``clock`` is monotonic, in seconds."""

    def __init__(
        self,
        *,
        book: Book,
        pods: Callable[[], Sequence[PodRecord]],
        threads: Callable[[str], Mapping[tuple[str, str], int]],
        strays: Callable[[], Sequence[Stray]],
        foreign: Callable[[], Mapping[str, Fraction]],
        strangers: StrangerSource,
        notices: Notices,
        metrics: ReconciliationMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._book = book
        self._pods = pods
        self._threads = threads
        self._strays = strays
        self._foreign = foreign
        self._strangers = strangers
        self._notices = notices
        self._metrics = metrics
        self._clock = clock
        self._due = clock()
        self._found: tuple[Finding, ...] = ()

    def look(self) -> None:
        """Take the account anew, when it is time."""
        if self._clock() < self._due:
            return
        self._due = self._clock() + _APART_SECONDS
        found = (*self._between_book_and_pods(), *self._in_the_kernel())
        counted = Counter(finding.kind for finding in found)
        for kind in Difference:
            self._metrics.differences.labels(kind=kind.value).set(counted[kind])
        known = {finding.text for finding in self._found}
        for finding in found:
            if finding.text not in known:
                log.warning("difference", extra={"kind": finding.kind, "what": finding.text})
        self._found = found

    def warnings(self) -> tuple[str, ...]:
        """The account, for ``GET /v1/state``; of each kind the first twenty."""
        told: Counter[Difference] = Counter()
        texts = []
        for finding in self._found:
            told[finding.kind] += 1
            if told[finding.kind] <= _SHOWN:
                texts.append(finding.text)
        return tuple(texts)

    def _between_book_and_pods(self) -> list[Finding]:
        held = {entry.pod.uid: entry for entry in self._book.entries()}
        present = {record.uid: record for record in self._pods()}
        known = {finding.text for finding in self._found}
        found = []
        for record in present.values():
            if record.uid in held or record.ended or ALLOCATION_KEY not in record.annotations:
                continue
            text = f"pod {record.namespace}/{record.name} runs here without its reservation"
            found.append(Finding(kind=Difference.UNRESERVED_POD, text=text))
            if text in known:  # or it has just been bound, and is reserved for in a moment
                pod = PodRef(uid=record.uid, namespace=record.namespace, name=record.name)
                self._notices.tell(pod, Notice.NOT_RESERVED, _UNRESERVED)
        for entry in held.values():
            if entry.phase is Phase.BOUND and entry.pod.uid not in present:
                text = f"pod {entry.pod.namespace}/{entry.pod.name} is gone, its reservation not"
                found.append(Finding(kind=Difference.ABANDONED_RESERVATION, text=text))
        return found

    def _in_the_kernel(self) -> list[Finding]:
        found = [
            Finding(
                kind=Difference.STRAY,
                text=f"{stray.what} is ours, and no reservation accounts for it {stray.cause}",
            )
            for stray in self._strays()
        ]
        for name, share in self._foreign().items():
            text = f"the group {name} of others holds {float(share):.4f} of real-time bandwidth"
            found.append(Finding(kind=Difference.FOREIGN_GROUP, text=text))
        before = self._enforced()
        strangers = self._strangers.find(before)
        after = self._enforced()  # it takes a while to look at all threads
        found += [
            Finding(kind=Difference.FOREIGN_THREAD, text=stranger.text)
            for stranger in strangers
            if stranger.tid not in after
        ]
        return found

    def _enforced(self) -> set[int]:
        entries = self._book.entries()
        return {tid for entry in entries for tid in self._threads(entry.pod.uid).values()}


_UNRESERVED = (
    "the pod was placed with a reservation that this node no longer has and cannot give again; "
    "its threads run as ordinary ones"
)
