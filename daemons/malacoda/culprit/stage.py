"""Stage 2 assembled: the informer of the node's pods, the search, and its events."""

import threading
from collections.abc import Callable
from typing import Protocol

from daemons.malacoda.culprit.events import CulpritEvents
from daemons.malacoda.culprit.handover import Handover
from daemons.malacoda.culprit.metrics import CulpritMetrics
from daemons.malacoda.culprit.pods import NodePods
from daemons.malacoda.culprit.search import CulpritSearch, Processes, UsageSource, Watch
from k40s.assurance.suspects.verdict import AttributionPolicy
from k40s.kube.events import EventWriter
from k40s.kube.list_watch import WatchSource
from k40s.kube.records import PodRecord
from k40s.kube.watching.informer import Informer
from k40s.node_agent.backoff import Backoff, FailureListener
from k40s.node_agent.loops import Loops
from k40s.units import NS_PER_S, Clock, Nanoseconds

_SEND = Nanoseconds(NS_PER_S // 2)
_PAUSE = Nanoseconds(5 * NS_PER_S)
"""After the API server did not take an event."""


class PodSource(EventWriter, Protocol):
    """The part of the API server that stage 2 needs."""

    def pods(self, *, node: str) -> WatchSource[PodRecord]:
        """List and watch the pods of one node."""


class CulpritStage:
    """``tick`` follows each sample of the node's counters; ``stop`` ends with the loops."""

    def __init__(
        self,
        *,
        node: str,
        namespace: str,
        watch: Watch,
        source: UsageSource,
        gateway: PodSource,
        metrics: CulpritMetrics,
        stop: threading.Event,
        on_error: Callable[[], None],
        on_failure: FailureListener,
        on_unreadable: Callable[[], None],
        clock: Clock,
        handover: Handover | None = None,
        processes: Processes | None = None,
    ) -> None:
        """``namespace`` is k40s's own, whose pods are protected; ``handover`` as of the search."""
        self.pods = NodePods(namespaces=(namespace,))
        self._informer = Informer(
            name="pods",
            source=gateway.pods(node=node),
            handler=self.pods,
            stop=stop,
            on_error=on_error,
            on_unreadable=on_unreadable,
        )
        self.events = CulpritEvents(
            writer=gateway,
            metrics=metrics,
            backoff=Backoff(pause=_PAUSE, clock=clock, on_failure=on_failure),
            clock=clock,
        )
        self.search = CulpritSearch(
            node=node,
            watch=watch,
            pods=self.pods,
            source=source,
            events=self.events,
            metrics=metrics,
            clock=clock,
            policy=AttributionPolicy(),
            handover=handover,
            processes=processes,
        )

    def start(self, loops: Loops) -> None:
        """Watch the pods, and write events."""
        self._informer.start()
        loops.start("events", _SEND, self.events.send)
