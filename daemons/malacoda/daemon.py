"""One malacoda: its parts put together, its loops started and stopped."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from daemons.malacoda.facts import online_cpus, read_software_facts
from daemons.malacoda.metrics import MonitorMetrics, ReportMetrics
from daemons.malacoda.monitor import Monitor
from daemons.malacoda.reporter import FRESH, Reporter
from daemons.malacoda.sampler import Sampler
from daemons.malacoda.settings import Settings
from k40s.assurance.software import propose_software_assurance
from k40s.runtime.loop import run_every, start_thread
from k40s.runtime.probes import ProbeServer
from k40s.runtime.publisher import NodeWriter, Publisher
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

log = logging.getLogger(__name__)

_REPORT_PERIOD = Nanoseconds(500 * NS_PER_MS)
_CLOCK_MONOTONIC_COARSE = 6
"""Linux; advances once per tick, so its resolution is 1/HZ."""
_JOIN = 10
"""Seconds that a loop has to end in."""


class Malacoda:
    """``start`` begins to sample and report; ``stop`` ends it and frees everything."""

    def __init__(
        self,
        settings: Settings,
        *,
        gateway: NodeWriter,
        registry: CollectorRegistry,
        clock: Callable[[], int] = time.monotonic_ns,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        cpus = settings.cpus or online_cpus(settings.sys_path)
        proposal = propose_software_assurance(
            read_software_facts(
                proc=settings.proc_path, sys=settings.sys_path, cpus=cpus, tick=tick_length()
            )
        )
        log.info(
            "software assurance proposed",
            extra={"cpus": list(cpus), "value": proposal.value, "reasons": proposal.reasons},
        )
        self._period = settings.sampling_period
        self._sampler = Sampler(cpus=frozenset(cpus), clock=clock, root=settings.proc_path)
        self.monitor = Monitor(
            source=self._sampler,
            rules=settings.rules,
            policy=settings.policy,
            metrics=MonitorMetrics(registry, settings.rules),
            clock=clock,
        )
        self._metrics = ReportMetrics(registry)
        self.reporter = Reporter(
            node=settings.node_name,
            monitor=self.monitor,
            reader=gateway,
            board=Publisher(
                gateway=gateway,
                node=settings.node_name,
                lease_namespace=settings.lease_namespace,
                lease_name=f"malacoda-{settings.node_name}",
                lease=settings.lease,
            ),
            thresholds=settings.thresholds,
            hardware=settings.hardware_assurance,
            software=proposal.value,
            lease=settings.lease,
            metrics=self._metrics,
            clock=clock,
            now=now,
        )
        self.probes = ProbeServer(
            host=settings.listen_host,
            port=settings.probe_port,
            registry=registry,
            healthy=self._healthy,
            ready=self._ready,
        )
        self._stop = threading.Event()
        self._begun = clock()
        self._clock = clock
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the loops and the probes."""
        for name, period, tick in (
            ("sample", self._period, self.monitor.tick),
            ("report", _REPORT_PERIOD, self.reporter.tick),
        ):
            self._threads.append(start_thread(self._loop(period, tick), name=name))
        self.probes.start()

    def stop(self) -> None:
        """End the loops, close descriptors, free the port."""
        self._stop.set()
        for thread in self._threads:
            thread.join(_JOIN)
        self.probes.stop()
        self._sampler.close()

    def _loop(self, period: Nanoseconds, tick: Callable[[], None]) -> Callable[[], None]:
        def loop() -> None:
            run_every(period=period, tick=tick, stop=self._stop, on_error=self._metrics.errors.inc)

        return loop

    def _healthy(self) -> str | None:
        age = self.monitor.age
        if age is None:
            age = self._clock() - self._begun
        return None if age <= 2 * FRESH else "no sample of the node's CPUs for 10 s"

    def _ready(self) -> str | None:
        if self.reporter.published is None:
            return "the node's assurance is not published yet"
        return self._healthy()


def tick_length() -> Nanoseconds:
    """1/HZ of the running kernel."""
    return Nanoseconds(round(time.clock_getres(_CLOCK_MONOTONIC_COARSE) * NS_PER_S))
