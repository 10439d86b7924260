"""What is watched: whole Nodes and Pods, Leases, Networks, and Events of k40s's reporters."""

import threading
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from insight.metrics import InsightMetrics
from insight.overview.lease_ages import LeaseAges
from k40s.kube.list_watch import Keyed, WatchSource
from k40s.kube.objects.observed import EventRecord, ObservedNode, ObservedPod
from k40s.kube.observation import event_source, node_source, pod_source
from k40s.kube.records import LeaseRecord, NetworkRecord
from k40s.kube.transport import ApiTransport
from k40s.kube.watching.feed import Handler
from k40s.kube.watching.informer import Informer
from k40s.kube.watching.record_table import RecordTable
from k40s.overview.build import build_overview
from k40s.overview.happenings import REPORTERS
from k40s.overview.model import Overview
from k40s.overview.texts import ParsedTexts
from k40s.units import WallClock

R = TypeVar("R", bound=Keyed)


class WatchedGateway(Protocol):
    """The part of ``KubeGateway`` that is used."""

    @property
    def api(self) -> ApiTransport:
        """The connection."""
        ...

    def leases(self, *, namespace: str) -> WatchSource[LeaseRecord]:
        """The daemons' Leases."""
        ...

    def networks(self) -> WatchSource[NetworkRecord]:
        """All Networks."""
        ...


class _AnyInformer(Protocol):
    name: str
    synchronized: threading.Event

    def start(self) -> threading.Thread: ...


class Watches:
    """The tables and their informers. ``build`` is called by one thread at a time."""

    def __init__(
        self,
        gateway: WatchedGateway,
        namespace: str,
        *,
        on_change: Callable[[], None],
        metrics: InsightMetrics,
        stop: threading.Event,
        wall: WallClock,
    ) -> None:
        api = gateway.api
        self._metrics = metrics
        self._stop = stop
        self._wall = wall
        self._texts = ParsedTexts()
        self.nodes: RecordTable[ObservedNode] = RecordTable(on_change=on_change)
        self.pods: RecordTable[ObservedPod] = RecordTable(on_change=on_change)
        self._leases = LeaseAges(wall=wall)
        self._networks: RecordTable[NetworkRecord] = RecordTable(on_change=on_change)
        self._events: dict[str, RecordTable[EventRecord]] = {
            name: RecordTable(on_change=on_change) for name in REPORTERS
        }
        self._needed: Sequence[_AnyInformer] = (
            self._informer("nodes", node_source(api), self.nodes),
            self._informer("pods", pod_source(api), self.pods),
            self._informer("leases", gateway.leases(namespace=namespace), self._leases),
        )
        self._further: Sequence[_AnyInformer] = (
            self._informer("networks", gateway.networks(), self._networks),
            *(
                self._informer("events", event_source(api, reporter=name), table, detail=name)
                for name, table in self._events.items()
            ),
        )

    @property
    def informers(self) -> tuple[_AnyInformer, ...]:
        """All informers, those first without which there is no overview."""
        return (*self._needed, *self._further)

    def start(self) -> None:
        """Start all informers."""
        for informer in self.informers:
            informer.start()

    def waiting(self) -> str | None:
        """What has to be listed before there is an overview; None when all is."""
        missing = [one.name for one in self._needed if not one.synchronized.is_set()]
        return f"not listed yet: {', '.join(missing)}" if missing else None

    def node_names(self) -> list[str]:
        """All nodes, in order."""
        return sorted(one.node.name for one in self.nodes.records)

    def events(self) -> list[EventRecord]:
        """All Events of our reporters."""
        return [one for table in self._events.values() for one in table.records]

    def find_node(self, name: str) -> ObservedNode | None:
        """The node of this name."""
        return next((one for one in self.nodes.records if one.node.name == name), None)

    def build(self) -> Overview:
        """The overview of all tables, as of now."""
        return build_overview(
            now=self._wall(),
            nodes=self.nodes.records,
            pods=self.pods.records,
            leases=self._leases.values(),
            networks=self._networks.records,
            events=self.events(),
            unreadable=[
                f"{one.name}: not listed yet"
                for one in self._further
                if not one.synchronized.is_set()
            ],
            texts=self._texts,
        )

    def _informer(
        self, kind: str, source: WatchSource[R], handler: Handler[R], *, detail: str = ""
    ) -> Informer[R]:
        return Informer(
            name=f"{kind} of {detail}" if detail else kind,
            source=source,
            handler=handler,
            stop=self._stop,
            on_error=self._metrics.watch_errors.inc,
            on_unreadable=self._metrics.unreadable[kind].inc,
        )
