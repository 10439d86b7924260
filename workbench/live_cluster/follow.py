"""Follows a cluster by watches: a view after each change, at most one a second."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from typing import TypeVar

from k40s.kube.list_watch import Keyed, WatchSource
from k40s.kube.observation import ClusterSources, Observation
from k40s.kube.watching.informer import Informer
from k40s.kube.watching.record_table import RecordTable
from workbench.live_cluster.look import ClusterLook, View

R = TypeVar("R", bound=Keyed)
_LEAST_S = 1.0
"""Between two views."""
_MOST_S = 5.0
"""Ages grow without a change."""


def follow(look: ClusterLook, *, stop: threading.Event) -> Iterator[View]:
    """Views until ``stop`` is set. Raises ``UnavailableError`` where the first list fails."""
    sources, first = look.begin()
    yield look.view(first)
    tables = _Tables(sources, first, stop=stop)
    tables.start()
    while not stop.wait(_LEAST_S):
        tables.changed.wait(_MOST_S)
        if stop.is_set():
            return
        tables.changed.clear()
        yield replace(look.view(tables.observation()), stale=tables.is_interrupted)


class _Tables:
    """A table and an informer for each kind that the caller may list."""

    def __init__(
        self, sources: ClusterSources, first: Observation, *, stop: threading.Event
    ) -> None:
        self.changed = threading.Event()
        self.is_interrupted = False
        """Whether a watch has failed since the last change that arrived."""
        self._first = first
        self._stop = stop
        self._informers: list[Callable[[], object]] = []
        self._nodes = self._table("nodes", sources.nodes)
        self._pods = self._table("pods", sources.pods)
        self._leases = self._table("leases", sources.leases)
        self._networks = self._table("networks", sources.networks)
        self._events = [self._table("events", one) for one in sources.events]

    def start(self) -> None:
        """Start the informers' threads, which end with the process or soon after ``stop``."""
        for start in self._informers:
            start()

    def observation(self) -> Observation:
        """What the tables hold; of kinds that are not listed yet, what the first look found."""
        first = self._first
        events = first.events
        if all(one.listed for one in self._events):
            events = tuple(chain.from_iterable(one.records for one in self._events))
        return replace(
            first,
            nodes=_records(self._nodes, first.nodes),
            pods=_records(self._pods, first.pods),
            leases=_records(self._leases, first.leases),
            networks=_records(self._networks, first.networks),
            events=events,
        )

    def _table(self, kind: str, source: WatchSource[R]) -> RecordTable[R]:
        table: RecordTable[R] = RecordTable(on_change=self._arrived)
        if kind not in self._first.missing:
            informer = Informer(
                name=kind,
                source=source,
                handler=table,
                stop=self._stop,
                on_error=self._interrupted,
            )
            self._informers.append(informer.start)
        return table

    def _arrived(self) -> None:
        self.is_interrupted = False
        self.changed.set()

    def _interrupted(self) -> None:
        self.is_interrupted = True
        self.changed.set()


def _records(table: RecordTable[R], first: tuple[R, ...]) -> tuple[R, ...]:
    return table.records if table.listed else first
