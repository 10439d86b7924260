"""Malacoda assembled: sampling, search for culprits, report, publication, loops and probes."""

import logging
import threading
import time
from datetime import UTC, datetime
from typing import Protocol

from prometheus_client import CollectorRegistry

from daemons.malacoda.actuator.mode import CulpritMode
from daemons.malacoda.actuator.protocol import Result, Verb
from daemons.malacoda.culprit.events import CulpritEvents, EventReason
from daemons.malacoda.culprit.handover import Handover
from daemons.malacoda.culprit.metrics import CulpritMetrics
from daemons.malacoda.culprit.processes import PodProcesses
from daemons.malacoda.culprit.search import UsageSource
from daemons.malacoda.culprit.stage import CulpritStage, PodSource
from daemons.malacoda.harm.gauge import HarmGauge, PressureSource
from daemons.malacoda.harm.metrics import HarmMetrics
from daemons.malacoda.harm.misses import OverrunFile
from daemons.malacoda.harm.threads import RealTimePods
from daemons.malacoda.metrics import MonitorMetrics, PodReportMetrics, ProfileMetrics, ReportMetrics
from daemons.malacoda.monitor import NO_GAUGE, Monitor
from daemons.malacoda.pod_reports import MAX_PAGE, TIMEOUT, PodReports
from daemons.malacoda.profiles import Profiles
from daemons.malacoda.report import FRESH, AssuranceReport
from daemons.malacoda.response.client import ActuatorClient
from daemons.malacoda.response.critical_cpus import CriticalCpus
from daemons.malacoda.response.evictions import EvictionRequests
from daemons.malacoda.response.metrics import ResponseMetrics
from daemons.malacoda.response.reports import UNREACHABLE, ActReports
from daemons.malacoda.response.responder import Actuator, Harms, Responder
from daemons.malacoda.sampling.facts import (
    online_cpus,
    read_kernel_release,
    read_software_facts,
)
from daemons.malacoda.sampling.runnable import RunnableThreads
from daemons.malacoda.sampling.sampler import Sampler
from daemons.malacoda.sampling.usage import UsageReader
from daemons.malacoda.settings import Settings
from k40s.annotations import ASSURANCE_SINCE_KEY
from k40s.assurance.metrics import available_metrics, needs_details
from k40s.assurance.response.acts import ActKind
from k40s.assurance.response.harm import HarmPolicy
from k40s.assurance.software import propose_software_assurance, sampling_period
from k40s.http.client import HttpClient
from k40s.http.probes import ProbeServer
from k40s.node_agent.backoff import Backoff
from k40s.node_agent.leases import malacoda_lease
from k40s.node_agent.loops import Loops
from k40s.node_agent.publication import NodePublication
from k40s.node_agent.publisher import NodeWriter
from k40s.node_agent.tick import tick_length
from k40s.units import NS_PER_MS, NS_PER_S, Clock, Nanoseconds, WallClock

log = logging.getLogger(__name__)

REPORT_PERIOD = Nanoseconds(250 * NS_PER_MS)
_RESPONSE_PERIOD = Nanoseconds(NS_PER_MS)
"""Between two turns, each of which waits for a sample."""
_PAUSE = Nanoseconds(0)
"""After the API server did not answer: the next report tries again."""
_EVENT_PAUSE = Nanoseconds(5 * NS_PER_S)
"""After the API server did not take an event about a pod's metric."""
DETAILS_EVERY = Nanoseconds(950 * NS_PER_MS)
"""Where no rule needs them: they are for people, once a second."""
_JOIN_SECONDS = 10.0


class Gateway(NodeWriter, PodSource, Protocol):
    """What malacoda needs of the API server."""


class PodUsageSource(UsageSource, PressureSource, Protocol):
    """CPU usage and pressure by pod; implemented by ``UsageReader``."""


class Malacoda:
    """``start`` begins to sample and report; ``stop`` ends it and frees everything."""

    def __init__(
        self,
        settings: Settings,
        *,
        gateway: Gateway,
        registry: CollectorRegistry,
        usage: PodUsageSource | None = None,
        actuator: Actuator | None = None,
        clock: Clock = time.monotonic_ns,
        now: WallClock = lambda: datetime.now(UTC),
    ) -> None:
        """``usage`` and ``actuator`` are the node's unless given."""
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
        runnable = RunnableThreads(cpus=frozenset(cpus), root=settings.proc_path)
        self._sampler = Sampler(
            cpus=frozenset(cpus), clock=clock, root=settings.proc_path, runnable=runnable
        )
        monitor_metrics = MonitorMetrics(registry)
        self.monitor = Monitor(
            source=self._sampler,
            policy=settings.policy,
            metrics=monitor_metrics,
            clock=clock,
        )
        first = self._sampler.sample()
        self._profiles = Profiles(
            path=settings.profile_path,
            monitor=self.monitor,
            offered=None if first.stat is None else available_metrics(first),
            kernel=read_kernel_release(settings.proc_path),
            node=settings.node_name,
            writer=gateway,
            metrics=ProfileMetrics(registry),
        )
        self._follow_profile()
        metrics = ReportMetrics(registry)
        evictions = EvictionRequests(now=now)
        self._report = AssuranceReport(
            monitor=self.monitor,
            profiles=self._profiles,
            thresholds=settings.thresholds,
            hardware=settings.hardware_assurance,
            software=proposal.value,
            lease=settings.lease,
            metrics=metrics,
            now=now,
            node=settings.node_name,
            writer=gateway,
            evictions=evictions,
        )
        self.publication = NodePublication(
            report=self._report,
            gateway=gateway,
            node=settings.node_name,
            lease_namespace=settings.lease_namespace,
            lease_name=malacoda_lease(settings.node_name),
            lease=settings.lease,
            since_key=ASSURANCE_SINCE_KEY,
            backoff=Backoff(pause=_PAUSE, clock=clock, on_failure=metrics.count_failure),
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
        self.culprit: CulpritStage | None = None
        self.gauge: HarmGauge | None = None
        self.pod_reports: PodReports | None = None
        self.response: Responder | None = None
        handover = Handover() if settings.culprit.acts else None
        if settings.culprit is not CulpritMode.OFF:
            culprit_metrics = CulpritMetrics(registry, EventReason, faults=monitor_metrics.faults)
            usage = usage or UsageReader(
                cpus=frozenset(cpus),
                clock=clock,
                root=settings.cgroup_path,
                cgroup_root=settings.cgroup_root,
                runnable=runnable,
            )
            self.culprit = CulpritStage(
                node=settings.node_name,
                namespace=settings.lease_namespace,
                watch=self.monitor,
                source=usage,
                gateway=gateway,
                metrics=culprit_metrics,
                stop=self._stop,
                on_error=metrics.unavailable.inc,
                on_failure=metrics.count_failure,
                on_unreadable=metrics.unreadable.labels(kind="pods").inc,
                clock=clock,
                handover=handover,
                processes=PodProcesses(clock=clock, root=settings.proc_path),
            )
            self._pod_events = CulpritEvents(
                writer=gateway,
                metrics=culprit_metrics,
                backoff=Backoff(pause=_EVENT_PAUSE, clock=clock, on_failure=metrics.count_failure),
                clock=clock,
            )
            self.pod_reports = PodReports(
                pods=self.culprit.pods,
                http=HttpClient(timeout=TIMEOUT, max_answer=MAX_PAGE),
                events=self._pod_events,
                metrics=PodReportMetrics(registry),
                clock=clock,
            )
            self.gauge = HarmGauge(
                pods=self.culprit.pods,
                pressure=usage,
                threads=RealTimePods(clock=clock, root=settings.proc_path),
                misses=OverrunFile(settings.overruns_path, clock=clock),
                reports=self.pod_reports,
                metrics=HarmMetrics(registry, faults=monitor_metrics.faults),
                clock=clock,
                policy=HarmPolicy(),
            )
            if handover is not None:
                self.response = _respond(
                    settings,
                    stage=self.culprit,
                    handover=handover,
                    harms=self.gauge,
                    actuator=actuator or ActuatorClient(settings.actuator_socket),
                    evictions=evictions,
                    cpus=frozenset(cpus),
                    registry=registry,
                    clock=clock,
                )
        self._loops = Loops(stop=self._stop, on_error=metrics.errors.inc)
        self._begun = clock()
        self._clock = clock

    def start(self) -> None:
        """Start the loops and the probes."""
        self._loops.start("sample", self.sampling_period, self.sample)
        self._loops.start("report", REPORT_PERIOD, self.publication.tick)
        if self.culprit is not None:
            self.culprit.start(self._loops)
        if self.pod_reports is not None:
            self._loops.start("pod-metrics", REPORT_PERIOD, self.pod_reports.tick)
            self._loops.start("pod-events", REPORT_PERIOD, self._pod_events.send)
        if self.response is not None:
            self._loops.start("respond", _RESPONSE_PERIOD, self.response.tick)
        self.probes.start()

    def sampling_period(self) -> Nanoseconds:
        """The operator's, else the one that the profile means, else that of the node's β."""
        profile = self._profiles.current
        if self._period is not None:
            return self._period
        if profile is not None and profile.period is not None:
            return profile.period
        return sampling_period(self._report.software)

    def sample(self) -> None:
        """Take one sample; while LOW or HI pods run here, one of the pods too.

        Where the node is quiet, a glance at it is all that some turns take. Metrics that no rule
        needs are for people, who need them once a second at most. γ is judged with the last
        sample's gauge of harm, as the gauge needs to know of alarms.
        """
        if self._profiles.current is not self._profile:
            self._follow_profile()
        if not self.monitor.tick(NO_GAUGE if self.gauge is None else self.gauge.known):
            return
        if self.gauge is not None:
            watched = self.monitor.state
            self.gauge.tick(calm=not watched.alarmed and not watched.high)
        if self.culprit is not None:
            self.culprit.search.tick()

    def _follow_profile(self) -> None:
        self._profile = self._profiles.current
        rules = () if self._profile is None else self._profile.rules
        needed = needs_details(rule.metric for rule in rules)
        self._sampler.details_every = Nanoseconds(0) if needed else DETAILS_EVERY

    def stop(self) -> None:
        """End the loops, close descriptors, free the port."""
        self._stop.set()
        self._loops.join(_JOIN_SECONDS)
        if self.response is not None:
            self.response.close()
        self.probes.stop()
        self._sampler.close()
        if self.culprit is not None:
            self.culprit.search.close()

    def _healthy(self) -> str | None:
        age = self.monitor.age
        if age is None:
            age = self._clock() - self._begun
        return None if age <= 2 * FRESH else "no sample of the node's CPUs for 10 s"

    def _ready(self) -> str | None:
        if self._profiles.trouble is not None:
            return f"no profile of rules: {self._profiles.trouble}"
        if self._report.published is None:
            return "the node's assurance is not published yet"
        return self._healthy()


def _respond(
    settings: Settings,
    *,
    stage: CulpritStage,
    handover: Handover,
    harms: Harms,
    actuator: Actuator,
    evictions: EvictionRequests,
    cpus: frozenset[int],
    registry: CollectorRegistry,
    clock: Clock,
) -> Responder:
    """The response to culprits."""
    metrics = ResponseMetrics(
        registry,
        acts=[*(verb.value for verb in Verb if verb.step is not None), ActKind.EVICT.value],
        results=[*(result.value for result in Result), UNREACHABLE],
    )
    return Responder(
        handover=handover,
        pods=stage.pods,
        harms=harms,
        actuator=actuator,
        evictions=evictions,
        cpus=CriticalCpus(clock=clock, root=settings.proc_path),
        own_cpus=cpus,
        policy=settings.response,
        reports=ActReports(
            node=settings.node_name, events=stage.events, metrics=metrics, clock=clock
        ),
        metrics=metrics,
        clock=clock,
    )
