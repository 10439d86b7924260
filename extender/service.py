"""Assembles the extender around injected adapters."""

import random
import threading
import time
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from flask import Flask
from prometheus_client import CollectorRegistry

from extender.app import create_app
from extender.binding.api_server import ConditionalBindings
from extender.binding.network_entries import NetworkEntries
from extender.binding.network_reservation import NetworkReservations
from extender.binding.reservation import NodeReservations
from extender.cache.catch_up import CatchUp
from extender.cache.networks import NetworkTable
from extender.cache.nodes import NodeCache
from extender.cache.pod_places import PodPlaces
from extender.cache.pods import PodTable
from extender.cache.workloads import WorkloadCache
from extender.metrics import ExtenderMetrics
from extender.monitoring.stale_labels import PERIOD, LabelledNodes, StaleLabels
from extender.monitoring.unadmitted import UnadmittedPods
from extender.monitoring.unreached import UnreachedKeys
from extender.placement.admission_cache import AdmissionCache
from extender.placement.network_admission import NetworkAdmission
from extender.placement.node_queries import NodeAdmission, NodeQueries
from extender.placement.real_time import RealTimeAdmission
from extender.ports import CpuReservations, Networks, NetworkStations, PodBindings
from extender.protocol import parse_extender_args, parse_repeated_args
from extender.settings import ExtenderSettings
from extender.verbs.bind import Bind, Binder
from extender.verbs.dry_run import DryRun
from extender.verbs.filter import Filter
from extender.verbs.prioritize import Prioritize
from extender.verbs.verb import Verbs
from k40s.admission_plugins.registry import InstalledTests, load_admission_test
from k40s.kube.events import EventWriter
from k40s.kube.informer import Informer
from k40s.kube.list_watch import WatchSource
from k40s.kube.objects.pod_templates import POD_OWNERS
from k40s.kube.records import (
    LeaseRecord,
    NetworkRecord,
    NodeRecord,
    PodOwnerRecord,
    PodRecord,
)
from k40s.runtime.loop import run_every, start_thread
from k40s.units import NS_PER_S, Nanoseconds


class Cluster(PodBindings, Networks, LabelledNodes, EventWriter, Protocol):
    """The part of ``KubeGateway`` that the extender uses."""

    def nodes(self) -> WatchSource[NodeRecord]:
        """All Nodes."""

    def pods(self) -> WatchSource[PodRecord]:
        """All Pods."""

    def leases(self, *, namespace: str) -> WatchSource[LeaseRecord]:
        """The daemons' Leases."""

    def networks(self) -> WatchSource[NetworkRecord]:
        """All Networks."""

    def pod_owners(self, kind: str) -> WatchSource[PodOwnerRecord]:
        """All Deployments, or another kind of ``POD_OWNERS``."""


class Cpu(CpuReservations, NodeAdmission, Protocol):
    """The part of ``RubicanteClient`` that the extender uses."""


class Extender:
    """Everything that runs in the worker process."""

    def __init__(
        self, settings: ExtenderSettings, *, cluster: Cluster, cpu: Cpu, stations: NetworkStations
    ) -> None:
        self.registry = CollectorRegistry()
        self._metrics = ExtenderMetrics(self.registry)
        self._stop = threading.Event()
        self._tests = InstalledTests(
            partial(load_admission_test, patience=settings.filter_patience)
        )
        self._cache = NodeCache(
            thresholds=settings.thresholds,
            clock=time.monotonic_ns,
            wall=lambda: datetime.now(UTC),
        )
        self._metrics.nodes.set_function(lambda: len(self._cache.snapshot().nodes))
        self._workloads = WorkloadCache()
        self._pods = PodTable(self._workloads)
        self._queries = NodeQueries(nodes=cpu, clock=time.monotonic_ns)
        self._networks = NetworkTable(on_change=self._cache.touch)
        self._places = PodPlaces(on_gone=self._networks.pod_gone, on_placed=self._cache.touch)
        self._verbs = self._make_verbs(settings, cluster, cpu, stations)
        self._stale_labels = StaleLabels(
            find=lambda: () if self.trouble() else self._cache.stale_labels(),
            api=cluster,
            namespace=settings.namespace,
            withdrawn=lambda label: self._metrics.withdrawn[label].inc(),
            clock=time.monotonic_ns,
        )
        self._unadmitted = UnadmittedPods(
            pods=self._pods,
            nodes=self._cache,
            events=cluster,
            counted=self._metrics.misplaced,
            clock=time.monotonic_ns,
        )
        self._unreached = UnreachedKeys(
            events=cluster, counted=self._metrics.unreached, clock=time.monotonic_ns
        )
        self.informers = self._watch(cluster, settings.namespace)
        self.network_informer = self._watch_networks(cluster)
        self._pod_owners = self._watch_pod_owners(cluster)

    def start(self) -> Flask:
        """Starts tests, informers and loops; the application waits until it is synchronized."""
        self._tests.prepare()
        for informer in (*self.informers, self.network_informer, *self._pod_owners):
            informer.start()
        start_thread(self._withdraw_labels, name="stale-labels")
        start_thread(self._monitor_pods, name="unadmitted")
        return create_app(verbs=self._verbs, metrics=self._metrics, ready=self.trouble)

    def _monitor_pods(self) -> None:
        def look() -> None:
            if self.trouble() is None:
                self._unadmitted.look()
            self._unreached.look()

        run_every(
            period=_MONITORING_PERIOD,
            tick=look,
            stop=self._stop,
            on_error=self._metrics.look_errors.inc,
        )

    def trouble(self) -> str | None:
        """The informers that are not synchronized yet, or None."""
        waiting = [one.name for one in self.informers if not one.synchronized.is_set()]
        return f"not synchronized: {', '.join(waiting)}" if waiting else None

    def _withdraw_labels(self) -> None:
        run_every(period=PERIOD, tick=self._stale_labels.tick, stop=self._stop)

    def stop(self) -> None:
        """Ends all threads."""
        self._stop.set()
        self._queries.close()

    def _make_verbs(
        self, settings: ExtenderSettings, cluster: Cluster, cpu: Cpu, stations: NetworkStations
    ) -> Verbs:
        admissions = AdmissionCache(tests=self._tests.find)
        admission, uncounted = (
            RealTimeAdmission(
                admissions=admissions,
                queries=self._queries,
                counters=counters,
                clock=time.monotonic_ns,
                patience=settings.filter_patience,
            )
            for counters in (self._metrics.verdicts, None)
        )
        networks, uncounted_networks = (
            NetworkAdmission(
                networks=self._networks,
                places=self._places,
                counters=counters,
                clock=time.monotonic_ns,
                patience=settings.filter_patience,
            )
            for counters in (self._metrics.network_verdicts, None)
        )
        catch_up = CatchUp(
            cache=self._cache, clock=time.monotonic_ns, timeout=settings.settling_time
        )
        bindings = ConditionalBindings(
            watched=self._pods,
            workloads=self._workloads,
            api=cluster,
            clock=time.monotonic_ns,
            timeout=settings.bind_timeout,
        )
        binder = Binder(
            cache=self._cache,
            workloads=self._workloads,
            bindings=bindings,
            reservations=NodeReservations(cpu=cpu, admissions=admissions),
            networks=self._make_network_reservations(settings, cluster, stations, networks),
            places=self._places,
        )
        parse = parse_repeated_args()
        return Verbs(
            filter=Filter(
                parse=parse,
                cache=self._cache,
                workloads=self._workloads,
                admission=admission,
                networks=networks,
                catch_up=catch_up,
                metrics=self._metrics,
            ),
            prioritize=Prioritize(
                parse=parse,
                cache=self._cache,
                workloads=self._workloads,
                admission=admission,
                networks=networks,
            ),
            bind=Bind(binder=binder, metrics=self._metrics),
            dry_run=DryRun(
                parse=parse_extender_args,
                cache=self._cache,
                workloads=self._workloads,
                admission=uncounted,
                networks=uncounted_networks,
            ),
        )

    def _make_network_reservations(
        self,
        settings: ExtenderSettings,
        cluster: Cluster,
        stations: NetworkStations,
        admission: NetworkAdmission,
    ) -> NetworkReservations:
        entries = NetworkEntries(
            table=self._networks,
            admission=admission,
            networks=cluster,
            clock=time.monotonic_ns,
            wall=lambda: datetime.now(UTC),
            lease=settings.network_lease,
            pause=lambda pause: self._stop.wait(pause / NS_PER_S),
            jitter=random.random,
            conflicts=self._metrics.network_conflicts,
        )
        return NetworkReservations(
            table=self._networks,
            entries=entries,
            stations=stations,
            clock=time.monotonic_ns,
            timeout=settings.network_timeout,
            station_timeout=settings.station_timeout,
        )

    def _watch(self, cluster: Cluster, namespace: str) -> tuple["_Watch", ...]:
        count, unreadable = self._metrics.watch_errors.inc, self._metrics.unreadable
        cache, stop = self._cache, self._stop
        return (
            Informer(
                name="nodes",
                source=cluster.nodes(),
                handler=cache.nodes,
                stop=stop,
                on_error=count,
                on_unreadable=unreadable["nodes"].inc,
            ),
            Informer(
                name="leases",
                source=cluster.leases(namespace=namespace),
                handler=cache.leases,
                stop=stop,
                on_error=count,
                on_unreadable=unreadable["leases"].inc,
            ),
            Informer(
                name="pods",
                source=cluster.pods(),
                handler=cache.pods.and_then(self._pods.feed).and_then(self._places.feed),
                stop=stop,
                on_error=count,
                on_unreadable=unreadable["pods"].inc,
            ),
        )

    def _watch_networks(self, cluster: Cluster) -> Informer[NetworkRecord]:
        """Readiness does not wait for it: where the kind is not installed, nobody requires one."""
        return Informer(
            name="networks",
            source=cluster.networks(),
            handler=self._networks.feed,
            stop=self._stop,
            on_error=self._metrics.watch_errors.inc,
            on_unreadable=self._metrics.unreadable["networks"].inc,
        )

    def _watch_pod_owners(self, cluster: Cluster) -> tuple[Informer[PodOwnerRecord], ...]:
        return tuple(
            Informer(
                name=kind,
                source=cluster.pod_owners(kind),
                handler=self._unreached.feed(kind),
                stop=self._stop,
                on_error=self._metrics.watch_errors.inc,
                on_unreadable=self._metrics.unreadable["pod-makers"].inc,
            )
            for kind in POD_OWNERS
        )


_MONITORING_PERIOD = Nanoseconds(NS_PER_S)
_Watch = Informer[NodeRecord] | Informer[LeaseRecord] | Informer[PodRecord]
