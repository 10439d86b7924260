"""Samples the gauges of the node's critical pods: the shell of ``k40s.assurance.response.harm``.

Runs after each sample of the node's counters, in the same thread. The pods' cgroups are those that
the search for culprits has listed last.
"""

import logging
from collections.abc import Collection, Mapping
from typing import Protocol

from daemons.malacoda.culprit.pods import PodView
from daemons.malacoda.harm.metrics import OVERRUNS, POD_THREADS, HarmMetrics
from daemons.malacoda.monitor import NO_GAUGE
from k40s.assurance.response.harm import (
    CriticalPod,
    HarmPolicy,
    HarmState,
    count_gauged,
    gauge_harm,
)
from k40s.units import NS_PER_MS, NS_PER_S, Clock, Nanoseconds

log = logging.getLogger(__name__)

FRESH = Nanoseconds(5 * NS_PER_S)
"""A gauge that was sampled longer ago tells nothing."""
READ_EVERY = Nanoseconds(450 * NS_PER_MS)
"""However often the node is sampled: a window of pressure is no shorter, and reports and counts of
missed deadlines are no fresher."""
LOOK_EVERY = Nanoseconds(10 * NS_PER_S)
"""Between two looks at the pods' threads."""


class Pods(Protocol):
    """The node's pods; implemented by ``NodePods``."""

    @property
    def view(self) -> PodView:
        """As the informer last reported them."""


class PressureSource(Protocol):
    """Pressure by pod; implemented by ``UsageReader``."""

    def read_pressure(self, uids: Collection[str]) -> dict[str, int]:
        """Microseconds in which some task of each of these pods waited for a CPU, by UID.

        Without those that have no such file, or whose file cannot be read.
        """


class Misses(Protocol):
    """Missed deadlines by pod; implemented by ``OverrunFile``."""

    @property
    def missed(self) -> int:
        """Reads that failed."""

    def read(self) -> Mapping[str, int]:
        """The counts of the pods that have one, by UID."""


class Reports(Protocol):
    """Pods' own reports of harm; implemented by ``PodReports``."""

    @property
    def late(self) -> Mapping[str, bool]:
        """By UID, whether a pod reports harm; without those that report nothing."""


class RealTimeThreads(Protocol):
    """The kinds of pods' threads; implemented by ``RealTimePods``."""

    @property
    def missed(self) -> int:
        """Calls that were given up."""

    def find(self, uids: Collection[str]) -> frozenset[str]:
        """Those of these pods of which nothing but real-time threads runs."""


class HarmGauge:
    """``state`` is immutable; ``tick`` replaces it. Pods whose harm cannot be gauged have None."""

    def __init__(
        self,
        *,
        pods: Pods,
        pressure: PressureSource,
        threads: RealTimeThreads,
        misses: Misses,
        reports: Reports,
        metrics: HarmMetrics,
        clock: Clock,
        policy: HarmPolicy,
    ) -> None:
        self.state = HarmState()
        self._pods = pods
        self._pressure = pressure
        self._threads = threads
        self._misses = misses
        self._reports = reports
        self._metrics = metrics
        self._clock = clock
        self._policy = policy
        self._sampled: int | None = None
        self._looked: int | None = None
        self._calm = True
        self._real_time: frozenset[str] = frozenset()

    @property
    def known(self) -> HarmState:
        """The state, unless samples have stopped."""
        fresh = self._sampled is not None and self._clock() - self._sampled < FRESH
        return self.state if fresh else NO_GAUGE

    def tick(self, *, calm: bool) -> None:
        """Take a sample; ``calm``: no alarm is active, and no rule's last sample was high.

        Calls that come sooner than ``READ_EVERY`` read nothing, but for what they say of calm.
        """
        begun = self._clock()
        view = self._pods.view
        if not view.critical:
            self._rest()
            return
        self._calm = self._calm and calm
        if self._sampled is not None and begun - self._sampled < READ_EVERY:
            return
        calm, self._calm = self._calm, True
        candidates = view.critical & view.real_time
        if self._looked is None or begun - self._looked >= LOOK_EVERY:
            self._looked = begun
            self._real_time = self._threads.find(candidates)
        misses = self._misses.read()
        pressures = self._pressure.read_pressure(sorted(candidates & self._real_time))
        late = self._reports.late
        before = self.state
        self.state = gauge_harm(
            before,
            self._policy,
            at=Nanoseconds(begun),
            pods={
                uid: CriticalPod(
                    pressure=pressures.get(uid), late=late.get(uid), misses=misses.get(uid)
                )
                for uid in view.critical
            },
            calm=calm,
        )
        self._sampled = begun
        if before.harmed is not self.state.harmed:
            _report(before, self.state, view)
        self._metrics.show(self.state, gauged=count_gauged(self.state, self._policy))
        self._metrics.sources.count(
            {POD_THREADS: self._threads.missed, OVERRUNS: self._misses.missed}
        )
        self._metrics.cost.observe((self._clock() - begun) / NS_PER_S)

    def _rest(self) -> None:
        if self._looked is None:
            return
        self._looked = None
        self._real_time = self._threads.find(())
        self.state, self._sampled = NO_GAUGE, None
        self._metrics.show(self.state, gauged=0)


def _report(before: HarmState, after: HarmState, view: PodView) -> None:
    if after.harmed:
        evidence = [
            {
                "pod": harm.uid,
                "name": view.identities[harm.uid].name if harm.uid in view.identities else "",
                "gauge": harm.gauge.value,
                "value": round(harm.value, 1),
            }
            for harm in after.evidence
        ]
        log.warning("critical pods harmed", extra={"evidence": evidence})
    elif before.harmed:
        log.info("critical pods not harmed any more", extra={"known": after.harmed is False})
