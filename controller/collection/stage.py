"""Collection assembled: tables of what is watched, the informer of Networks, the collector."""

import threading
from collections.abc import Hashable, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry

from controller.cluster.networks import NetworkTable
from controller.cluster.nodes import Heard
from controller.cluster.pod_facts import PodFactTable
from controller.cluster.stations import StationTable
from controller.collection.collector import Collector
from controller.collection.networks import NetworkLedgers
from controller.collection.ports import Leadership, PodSource
from controller.collection.retries import NodeAnnotator, Retries
from controller.metrics import CollectionMetrics, ControllerMetrics
from k40s.kube.objects.network_status import WatchedNetwork
from k40s.kube.transport import ApiTransport
from k40s.kube.watching.informer import Informer
from k40s.kube.writing.network_statuses import NetworkStatuses, network_source
from k40s.node_agent.backoff import Backoff
from k40s.units import NS_PER_S, Clock, Nanoseconds, WallClock

_PAUSE = Nanoseconds(5 * NS_PER_S)
"""After the API server did not answer."""


class _Surroundings:
    """The tables, as ``Surroundings``."""

    def __init__(self, networks: NetworkTable, stations: StationTable) -> None:
        self._networks, self._stations = networks, stations

    def networks(self) -> Mapping[str, WatchedNetwork]:
        return self._networks.networks()

    def nodes(self) -> frozenset[str]:
        return self._stations.names()

    def health(self) -> Mapping[str, Mapping[str, str]]:
        return self._stations.health()

    def held(self) -> Mapping[str, Mapping[str, str]]:
        return self._stations.held()


class LiveCluster(PodSource, NodeAnnotator, Protocol):
    """The part of ``KubeGateway`` that collection uses."""


class CollectionStage:
    """``pods`` and ``stations`` are to be fed with Pods and Nodes; Networks it watches itself.

    Migration does not depend on it: a cluster may have no definition of Networks.
    """

    def __init__(
        self,
        *,
        api: ApiTransport,
        live: LiveCluster,
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

        def backoff() -> Backoff:
            return Backoff(pause=_PAUSE, clock=clock, on_failure=metrics.count_failure)

        self.informer: Informer[WatchedNetwork] = Informer(
            name="networks",
            source=network_source(api),
            handler=networks,
            stop=stop,
            on_error=metrics.watch_errors.inc,
            on_unreadable=metrics.unreadable["networks"].inc,
        )
        self._around = _Surroundings(networks, self.stations)
        self._leadership = leadership
        self.retries = Retries(nodes=live, backoff=backoff(), clock=clock, wall=wall)
        ledgers = NetworkLedgers(around=self._around, writer=NetworkStatuses(api), clock=clock)
        self._collector = Collector(
            what="network",
            ledgers=ledgers.look,
            cached=self.pods.facts,
            pods=live,
            leadership=leadership,
            metrics=CollectionMetrics(registry),
            backoff=backoff(),
            clock=clock,
            wall=wall,
            on_freed=self.retries.note_freed,
        )

    def tick(self) -> None:
        """Look once, as soon as all Networks have been listed.

        Pods that wait are told of other changes before that too.
        """
        listed = self.informer.synchronized.is_set()
        if self._leadership.leading:
            if listed:
                self.retries.look("networks", declared(self._around.networks()))
            self.retries.send(self._around.nodes())
        if listed:
            self._collector.tick()


def declared(networks: Mapping[str, WatchedNetwork]) -> Mapping[str, Hashable]:
    """What is declared and measured of each Network."""
    return {
        name: (one.generation, one.state.fault, frozenset(one.state.measured.items()))
        for name, one in networks.items()
    }
