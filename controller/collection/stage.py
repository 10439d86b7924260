"""Collection assembled: tables of what is watched, the informer of Networks, the collector."""

import threading
from collections.abc import Mapping

from prometheus_client import CollectorRegistry

from controller.cluster.networks import NetworkTable
from controller.cluster.nodes import Heard
from controller.cluster.pod_facts import PodFactTable
from controller.cluster.stations import StationTable
from controller.collection.collector import Collector
from controller.collection.ports import Leadership, PodSource
from controller.metrics import CollectionMetrics, ControllerMetrics
from k40s.kube.informer import Informer
from k40s.kube.network_statuses import NetworkStatuses, network_source
from k40s.kube.objects.network_status import WatchedNetwork
from k40s.kube.transport import ApiTransport
from k40s.network.collection import PodFact
from k40s.node_agent.backoff import Backoff
from k40s.units import NS_PER_S, Clock, Nanoseconds, WallClock

_PAUSE = Nanoseconds(5 * NS_PER_S)
"""After the API server did not answer."""


class _Surroundings:
    """The tables, as ``Surroundings``."""

    def __init__(self, networks: NetworkTable, pods: PodFactTable, stations: StationTable) -> None:
        self._networks, self._pods, self._stations = networks, pods, stations

    def networks(self) -> Mapping[str, WatchedNetwork]:
        return self._networks.networks()

    def pods(self) -> Mapping[str, PodFact]:
        return self._pods.facts()

    def nodes(self) -> frozenset[str]:
        return self._stations.names()

    def health(self) -> Mapping[str, Mapping[str, str]]:
        return self._stations.health()


class CollectionStage:
    """``pods`` and ``stations`` are to be fed with Pods and Nodes; Networks it watches itself.

    Migration does not depend on it: a cluster may have no definition of Networks.
    """

    def __init__(
        self,
        *,
        api: ApiTransport,
        live: PodSource,
        heard: Heard,
        leadership: Leadership,
        registry: CollectorRegistry,
        metrics: ControllerMetrics,
        stop: threading.Event,
        clock: Clock,
        wall: WallClock,
    ) -> None:
        self.pods = PodFactTable()
        self.stations = StationTable(heard=heard, clock=clock)
        networks = NetworkTable()
        self.informer: Informer[WatchedNetwork] = Informer(
            name="networks",
            source=network_source(api),
            handler=networks,
            stop=stop,
            on_error=metrics.watch_errors.inc,
            on_unreadable=metrics.unreadable["networks"].inc,
        )
        self._collector = Collector(
            surroundings=_Surroundings(networks, self.pods, self.stations),
            pods=live,
            writer=NetworkStatuses(api),
            leadership=leadership,
            metrics=CollectionMetrics(registry),
            backoff=Backoff(pause=_PAUSE, clock=clock, on_failure=metrics.count_failure),
            clock=clock,
            wall=wall,
        )

    def tick(self) -> None:
        """Look once, as soon as all Networks have been listed."""
        if self.informer.synchronized.is_set():
            self._collector.tick()
