"""The extender's parts, put together around the adapters that are handed in."""

import threading
import time
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from flask import Flask
from prometheus_client import CollectorRegistry

from extender.app import create_app
from extender.bind import Binder
from extender.contracts import Contracts
from extender.inquiry import Inquiry, NodeAdmission
from extender.memory import AdmissionMemory
from extender.metrics import ExtenderMetrics
from extender.nodes import NodeCache
from extender.ports import CpuReservations, PodBindings
from extender.settings import ExtenderSettings
from extender.settling import Settling
from extender.verbs import Verbs
from k40s.runtime.admission_tests import InstalledTests, load_admission_test
from k40s.runtime.informer import Informer
from k40s.runtime.records import LeaseRecord, NodeRecord, PodRecord
from k40s.runtime.watching import WatchSource


class Cluster(PodBindings, Protocol):
    """The part of ``KubeGateway`` that the extender uses."""

    def nodes(self) -> WatchSource[NodeRecord]:
        """All Nodes."""

    def pods(self) -> WatchSource[PodRecord]:
        """All Pods."""

    def leases(self, *, namespace: str) -> WatchSource[LeaseRecord]:
        """The daemons' Leases."""


class Cpu(CpuReservations, NodeAdmission, Protocol):
    """The part of ``RubicanteClient`` that the extender uses."""


class Extender:
    """Everything that runs in the worker process; ``stop`` ends the watches."""

    def __init__(self, settings: ExtenderSettings, *, cluster: Cluster, cpu: Cpu) -> None:
        self.registry = CollectorRegistry()
        self._stop = threading.Event()
        self._metrics = ExtenderMetrics(self.registry)
        self._cache = NodeCache(
            thresholds=settings.thresholds,
            clock=time.monotonic_ns,
            wall=lambda: datetime.now(UTC),
        )
        self._metrics.nodes.set_function(lambda: len(self._cache.snapshot().nodes))
        self.informers = self._watch(cluster, settings.namespace)
        self._tests = InstalledTests(
            partial(load_admission_test, patience=settings.filter_patience)
        )
        contracts, memory = Contracts(), AdmissionMemory(tests=self._tests.find)
        self._inquiry = Inquiry(nodes=cpu, clock=time.monotonic_ns)
        binder = Binder(
            cache=self._cache,
            contracts=contracts,
            memory=memory,
            cpu=cpu,
            pods=cluster,
            timeout=settings.bind_timeout,
        )
        self._verbs = Verbs(
            cache=self._cache,
            contracts=contracts,
            memory=memory,
            bind=binder.bind,
            metrics=self._metrics,
            settling=Settling(
                cache=self._cache, clock=time.monotonic_ns, moment=settings.settling_time
            ),
            inquiry=self._inquiry,
            clock=time.monotonic_ns,
            patience=settings.filter_patience,
        )

    def start(self) -> Flask:
        """Start the tests and the watches; the application answers once they are synchronized."""
        self._tests.prepare()
        for informer in self.informers:
            informer.start()
        return create_app(verbs=self._verbs, metrics=self._metrics, ready=self.trouble)

    def trouble(self) -> str | None:
        """What of the cache is not filled yet."""
        waiting = [one.name for one in self.informers if not one.synchronized.is_set()]
        return f"not synchronized: {', '.join(waiting)}" if waiting else None

    def stop(self) -> None:
        """End the watches."""
        self._stop.set()
        self._inquiry.close()

    def _watch(self, cluster: Cluster, namespace: str) -> tuple["_Watch", ...]:
        count = self._metrics.watch_errors.inc
        cache, stop = self._cache, self._stop
        return (
            Informer(
                name="nodes",
                source=cluster.nodes(),
                handler=cache.nodes,
                stop=stop,
                on_error=count,
            ),
            Informer(
                name="leases",
                source=cluster.leases(namespace=namespace),
                handler=cache.leases,
                stop=stop,
                on_error=count,
            ),
            Informer(
                name="pods", source=cluster.pods(), handler=cache.pods, stop=stop, on_error=count
            ),
        )


_Watch = Informer[NodeRecord] | Informer[LeaseRecord] | Informer[PodRecord]
