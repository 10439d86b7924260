"""The search for the culprit of a hazard: samples CPU usage by pod and reports the verdict.

Runs after each sample of the node's counters, in the same thread. A node without LOW and HI pods
has nobody to protect: its pods are not sampled. Nobody is sought for an alarm that is no hazard for
the kinds of threads that its LOW and HI pods have. However short the sampling period, pods
are sampled no more often than the baseline takes samples, but at once when an alarm begins.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from daemons.malacoda.culprit.events import CulpritEvents, EventReason
from daemons.malacoda.culprit.evidence import describe_named, describe_nobody, log_fields
from daemons.malacoda.culprit.handover import Handover, Judgement
from daemons.malacoda.culprit.metrics import CulpritMetrics
from daemons.malacoda.culprit.pods import PodView
from k40s.assurance.counters import StatCounters
from k40s.assurance.detector import Victim
from k40s.assurance.metrics import Metric
from k40s.assurance.suspects.attribution import AttributionState, attribute
from k40s.assurance.suspects.usage import NodeUsage, PodIdentity
from k40s.assurance.suspects.verdict import AttributionPolicy, Finding, Verdict
from k40s.assurance.watch import WatchState
from k40s.criticality import Criticality
from k40s.kube.records import ObjectRef
from k40s.units import NS_PER_S, Clock, Nanoseconds

log = logging.getLogger(__name__)

PATIENCE = Nanoseconds(3 * NS_PER_S)
"""An alarm in which nobody was named for so long is reported as such."""
_UNCONFIRMED_PATIENCE = 2 * PATIENCE
"""The same while single samples still accuse someone."""


class UsageSource(Protocol):
    """Samples CPU usage by pod; implemented by ``UsageReader``."""

    @property
    def faults(self) -> dict[str, int]:
        """By source, the number of samples without it."""

    def read(
        self,
        pods: Mapping[str, PodIdentity],
        *,
        stat: StatCounters | None,
        with_threads: bool = False,
    ) -> NodeUsage:
        """Usage of the node and of each pod that has a cgroup; one not in ``pods`` is protected.

        ``stat`` is of the same time. Threads are counted on demand: that scans /proc.
        """

    def close(self) -> None:
        """Close all descriptors; a later read opens them again."""


class Watch(Protocol):
    """The first stage; implemented by ``Monitor``."""

    @property
    def state(self) -> WatchState:
        """After the last sample."""


class Processes(Protocol):
    """Facts about processes; implemented by ``PodProcesses``."""

    def find(self, uid: str) -> list[dict[str, object]]:
        """Of a pod's largest ones, as fields of a log line."""


class Pods(Protocol):
    """The node's pods; implemented by ``NodePods``."""

    @property
    def view(self) -> PodView:
        """As the informer last reported them."""


@dataclass(slots=True, kw_only=True)
class _Alarm:
    """An active alarm: since when, who was named in it, whether it was reported that nobody is."""

    since: Nanoseconds
    named: set[str] = field(default_factory=set)
    unresolved: bool = False


class CulpritSearch:
    """``tick`` is called by one thread; it reads files and never waits for the network."""

    def __init__(
        self,
        *,
        node: str,
        watch: Watch,
        pods: Pods,
        source: UsageSource,
        events: CulpritEvents,
        metrics: CulpritMetrics,
        clock: Clock,
        policy: AttributionPolicy,
        handover: Handover | None = None,
        processes: Processes | None = None,
    ) -> None:
        """``handover`` leads to the response; without one a pod is named only."""
        self._processes = processes
        self.state = AttributionState()
        self._node = ObjectRef(kind="Node", namespace="", name=node, uid=node)
        self._watch = watch
        self._pods = pods
        self._source = source
        self._events = events
        self._metrics = metrics
        self._clock = clock
        self._policy = policy
        self._acts = handover is not None
        self._handover = handover or Handover()
        self._idle = True
        self._high = False
        self._sampled: int | None = None
        self._alarm: _Alarm | None = None

    def tick(self) -> None:
        """Take a sample and report a verdict that is new; nothing where nobody is threatened.

        However often the node is sampled, pods are so only every ``spacing``, and as an alarm
        begins: two samples that agree are to be of different times.
        """
        view = self._pods.view
        if view.threatened is Criticality.NO:
            self._rest()
            self._handover.put(Judgement(at=Nanoseconds(self._clock()), watched=WatchState()))
            return
        self._idle = False
        begun = self._clock()
        alarm, high = _alarm_and_high(self._watch.state, view.victims)
        self._high = self._high or high
        if not self._is_due(begun, alarm=alarm):
            return
        watched = _of_workload(self._watch.state).seen_by(view.victims)
        stat = None if watched.counters is None else watched.counters.stat
        sample = self._source.read(view.identities, stat=stat, with_threads=alarm)
        self._sampled = begun
        self.state = attribute(
            self.state,
            self._policy,
            sample,
            high=self._high,
            alarm=alarm,
            threatened=view.threatened,
            held=self._handover.held,
            cleared=self._handover.cleared,
        )
        self._high = False
        finding = self.state.finding
        self._handover.put(Judgement(at=sample.at, watched=watched, finding=finding))
        self._report(finding, watched, view)
        self._metrics.sources.count(self._source.faults)
        self._metrics.cost.observe((self._clock() - begun) / NS_PER_S)

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _is_due(self, now: int, *, alarm: bool) -> bool:
        if self._sampled is None or alarm != (self.state.finding is not None):
            return True
        return now - self._sampled >= self._policy.spacing

    def _rest(self) -> None:
        if self._idle:
            return
        self._idle = True
        self._high = False
        self._sampled = None
        self.state = AttributionState()
        self._alarm = None
        self._metrics.suspect.set(0)
        self._source.close()

    def _report(self, finding: Finding | None, watched: WatchState, view: PodView) -> None:
        if finding is None:
            if self._alarm is not None:
                self._alarm = None
                self._metrics.suspect.set(0)
            return
        if self._alarm is None:
            self._alarm = _Alarm(since=finding.at)
        if finding.verdict is Verdict.NAMED and finding.culprit is not None:
            if finding.culprit.uid not in self._alarm.named:
                self._alarm.named.add(finding.culprit.uid)
                self._report_named(finding, watched, view.references.get(finding.culprit.uid))
        elif not self._alarm.named and not self._alarm.unresolved:
            patience = _UNCONFIRMED_PATIENCE if finding.verdict is Verdict.UNCONFIRMED else PATIENCE
            if finding.at - self._alarm.since >= patience:
                self._alarm.unresolved = True
                self._report_nobody(finding, watched)

    def _report_named(self, finding: Finding, watched: WatchState, pod: ObjectRef | None) -> None:
        self._metrics.suspects.labels(verdict=finding.verdict.value).inc()
        self._metrics.suspect.set(1)
        extra = log_fields(finding, watched)
        if self._processes is not None and finding.culprit is not None:
            extra["processes"] = self._processes.find(finding.culprit.uid)
        log.warning("suspect named", extra=extra)
        text = describe_named(finding, watched, self._policy, names=True, acts=self._acts)
        subject = "" if pod is None else pod.uid
        self._events.add(self._node, EventReason.SUSPECT_NAMED, text, subject=subject)
        if pod is not None:
            text = describe_named(finding, watched, self._policy, names=False, acts=self._acts)
            self._events.add(pod, EventReason.SUSPECT_NAMED, text, subject=subject)

    def _report_nobody(self, finding: Finding, watched: WatchState) -> None:
        self._metrics.suspects.labels(verdict=finding.verdict.value).inc()
        log.warning("no suspect named", extra=log_fields(finding, watched))
        text = describe_nobody(finding, watched)
        verdict = finding.verdict.value
        self._events.add(self._node, EventReason.NO_SUSPECT_NAMED, text, subject=verdict)


def _alarm_and_high(state: WatchState, victims: Collection[Victim]) -> tuple[bool, bool]:
    """Whether an alarm is active that a pod may have caused and these suffer from; and high."""
    alarm = high = False
    for rule, of_rule in state.alarms.items():
        if rule.metric is not Metric.CPU_STEAL and not rule.harms.isdisjoint(victims):
            alarm = alarm or of_rule.active
            high = high or of_rule.suspicious
    return alarm, high


def _of_workload(watched: WatchState) -> WatchState:
    """Without the alarm on steal: what the hypervisor takes is no pod's doing."""
    alarms = {
        rule: alarm for rule, alarm in watched.alarms.items() if rule.metric is not Metric.CPU_STEAL
    }
    return watched if len(alarms) == len(watched.alarms) else replace(watched, alarms=alarms)
