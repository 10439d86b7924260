"""Assembles the extender around injected adapters."""

import threading
import time
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from flask import Flask
from prometheus_client import CollectorRegistry

from extender.app import create_app
from extender.assembly.adapters import Adapters
from extender.assembly.tables import Tables
from extender.assembly.verbs import make_verbs
from extender.assembly.watches import WatchedCluster, WatchedTenants, Watches
from extender.metrics import ExtenderMetrics
from extender.monitoring.silent_daemons import count_silent
from extender.monitoring.stale_labels import PERIOD, LabelledNodes, StaleLabels
from extender.monitoring.unadmitted import UnadmittedPods
from extender.monitoring.unreached import UnreachedKeys
from extender.placement.admission_cache import AdmissionCache
from extender.placement.node_queries import NodeAdmission, NodeQueries
from extender.ports import CpuReservations, Networks, NetworkStations, PodBindings, Tenants
from extender.preemption.whole_states import NodeStates, WholeStates
from extender.scheduler_calls import SchedulerCalls
from extender.settings import ExtenderSettings
from k40s.admission_plugins.registry import InstalledTests, load_admission_test
from k40s.kube.events import EventWriter
from k40s.runtime.loop import run_every, start_thread
from k40s.units import NS_PER_S, Nanoseconds


class Cluster(WatchedCluster, PodBindings, Networks, LabelledNodes, EventWriter, Protocol):
    """The part of ``KubeGateway`` that the extender uses."""


class TenantCluster(WatchedTenants, Tenants, Protocol):
    """The part of ``TenantLedgers`` that the extender uses."""


class Cpu(CpuReservations, NodeAdmission, NodeStates, Protocol):
    """The part of ``RubicanteClient`` that the extender uses."""


class Extender:
    """Everything that runs in the worker process."""

    def __init__(
        self,
        settings: ExtenderSettings,
        *,
        cluster: Cluster,
        cpu: Cpu,
        stations: NetworkStations,
        tenants: TenantCluster,
    ) -> None:
        self.registry = CollectorRegistry()
        self._metrics = ExtenderMetrics(self.registry)
        self._stop = threading.Event()
        self._tests = InstalledTests(
            partial(load_admission_test, patience=settings.filter_patience)
        )
        self._tables = Tables(settings, clock=time.monotonic_ns, wall=_wall)
        self._metrics.nodes.set_function(lambda: len(self._tables.nodes.snapshot().nodes))
        for daemon, shown in self._metrics.silent.items():
            shown.set_function(partial(self._count_silent, daemon))
        self._queries = NodeQueries(nodes=cpu, clock=time.monotonic_ns)
        self._calls = SchedulerCalls()
        self._states = WholeStates(
            nodes=cpu, tests=self._tests.find, pause=self._pause, clock=time.monotonic_ns
        )
        adapters = Adapters(
            bindings=cluster,
            networks=cluster,
            tenants=tenants,
            cpu=cpu,
            stations=stations,
            queries=self._queries,
            states=self._states,
            tests=self._tests.find,
            admissions=AdmissionCache(tests=self._tests.find),
            clock=time.monotonic_ns,
            wall=_wall,
            pause=self._pause,
            calls=self._calls,
        )
        self._verbs = make_verbs(settings, self._tables, adapters, self._metrics)
        self._stale_labels = StaleLabels(
            find=lambda: () if self.trouble() else self._tables.nodes.stale_labels(),
            api=cluster,
            namespace=settings.namespace,
            withdrawn=lambda label: self._metrics.withdrawn[label].inc(),
            clock=time.monotonic_ns,
        )
        self._unadmitted = UnadmittedPods(
            pods=self._tables.pods,
            nodes=self._tables.nodes,
            events=cluster,
            counted=self._metrics.misplaced,
            clock=time.monotonic_ns,
        )
        self._unreached = UnreachedKeys(
            events=cluster, counted=self._metrics.unreached, clock=time.monotonic_ns
        )
        self.watches = Watches(
            settings,
            cluster=cluster,
            tenants=tenants,
            tables=self._tables,
            unreached=self._unreached,
            metrics=self._metrics,
            stop=self._stop,
        )

    def start(self) -> Flask:
        """Starts tests, informers and loops; the application waits until it is synchronized."""
        self._tests.prepare()
        self.watches.start()
        start_thread(self._withdraw_labels, name="stale-labels")
        start_thread(self._monitor_pods, name="unadmitted")
        return create_app(
            verbs=self._verbs, metrics=self._metrics, ready=self.trouble, calls=self._calls
        )

    def trouble(self) -> str | None:
        """The informers that are not synchronized yet, or None."""
        return self.watches.trouble()

    def stop(self) -> None:
        """Ends all threads."""
        self._stop.set()
        self._queries.close()
        self._states.close()

    def _pause(self, pause: Nanoseconds) -> bool:
        return self._stop.wait(pause / NS_PER_S)

    def _count_silent(self, daemon: str) -> int:
        return count_silent(self._tables.nodes.snapshot().nodes.values(), daemon)

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

    def _withdraw_labels(self) -> None:
        run_every(period=PERIOD, tick=self._stale_labels.tick, stop=self._stop)


def _wall() -> datetime:
    return datetime.now(UTC)


_MONITORING_PERIOD = Nanoseconds(NS_PER_S)
