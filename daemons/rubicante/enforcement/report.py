"""Report on enforcement: enforced threads, conditions, stand-ins."""

from collections.abc import Iterator

from daemons.rubicante.book.book import Book
from daemons.rubicante.book.entry import Entry
from daemons.rubicante.enforcement.conditions import (
    Condition,
    Observation,
    StandIn,
    find_condition,
)
from daemons.rubicante.enforcement.exchange.exchanges import Exchanges
from daemons.rubicante.enforcement.guarantees import Guarantees
from daemons.rubicante.enforcement.tracked_pods import TrackedPod, TrackedPods
from daemons.rubicante.kernel.pod_cgroups import PodTree
from daemons.rubicante.mechanisms.back_end import Held
from k40s.units import MonotonicClock

_SEARCH_SECONDS = 30.0
"""Between two searches for kubepods in the whole hierarchy, to say where they are."""


class EnforcementReport:
    """Reads under the book's lock. ``clock`` is monotonic, in seconds."""

    def __init__(
        self,
        *,
        book: Book,
        pods: TrackedPods,
        exchanges: Exchanges,
        tree: PodTree,
        clock: MonotonicClock,
    ) -> None:
        self._book = book
        self._pods = pods
        self._exchanges = exchanges
        self._tree = tree
        self._clock = clock
        self._guarantees = Guarantees(book)
        self._search = (-_SEARCH_SECONDS, "")

    def threads(self, pod_uid: str) -> dict[tuple[str, str], int]:
        """(container, task) → TID of what is enforced for a pod."""
        with self._book.lock:
            entry, pod = self._book.find(pod_uid), self._pods.find(pod_uid)
            if entry is None or pod is None:
                return {}
            return {
                (held.reservation.container, task): thread.tid
                for held in self._pods.held(entry)
                for task, thread in pod.enforcement.of(held).threads.items()
            }

    def conditions(self) -> tuple[Condition, ...]:
        """The present conditions, at most one for each reservation."""
        with self._book.lock:
            now, broken = self._clock(), self._guarantees.broken()
            found = (
                find_condition(
                    entry.phase,
                    held,
                    self._observe(entry, pod),
                    now,
                    late=broken.get(entry.pod.uid, ""),
                )
                for entry, pod, held in self._reservations()
            )
            return tuple(condition for condition in found if condition is not None)

    def stand_ins(self) -> tuple[StandIn, ...]:
        """Main threads that are enforced for tasks whose name no thread bears."""
        with self._book.lock:
            return tuple(
                StandIn(
                    pod_uid=entry.pod.uid,
                    container=held.reservation.container,
                    task=task,
                    thread=state.threads[task].name,
                    tid=state.threads[task].tid,
                    threads=state.count,
                )
                for entry, pod, held in self._reservations()
                for state in (pod.enforcement.of(held),)
                for task in sorted(state.stand_ins)
            )

    def _reservations(self) -> Iterator[tuple[Entry, TrackedPod, Held]]:
        for entry in self._book.entries():
            pod = self._pods.find(entry.pod.uid)
            if pod is not None:
                for held in self._pods.held(entry):
                    yield entry, pod, held

    def _observe(self, entry: Entry, pod: TrackedPod) -> Observation:
        cgroup = pod.cgroups.pod
        return Observation(
            pod=pod,
            unreadable=self._pods.unreadable,
            search=lambda: f"looked for pod {entry.pod.uid} in {self._kubepods()}",
            names=lambda: () if cgroup is None else self._tree.names(cgroup),
            held_up=self._exchanges.cause_for(entry.pod.uid),
        )

    def _kubepods(self) -> str:
        """The path of kubepods in use, and those of others: a text for operators."""
        due, text = self._search
        if self._clock() >= due:
            text = self._tree.describe()
            self._search = (self._clock() + _SEARCH_SECONDS, text)
        return text
