"""Reports overruns and enforcement failures to pod owners, as events and metrics."""

import logging
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Protocol

from daemons.rubicante.book.book import Book
from daemons.rubicante.book.entry import Entry
from daemons.rubicante.cluster.pod_events import EventReason, PodEvents
from daemons.rubicante.enforcement.conditions import Trouble
from daemons.rubicante.enforcement.view import EnforcementView
from daemons.rubicante.metrics import FeedbackMetrics
from daemons.rubicante.monitoring.overrun import Meter, Overrun, Reading
from daemons.rubicante.monitoring.overrun_counts import OverrunCounts
from k40s.cpu.model import Task
from k40s.criticality import Criticality
from k40s.node_api.messages import PodRef
from k40s.units import NS_PER_S, MonotonicClock, Nanoseconds

log = logging.getLogger(__name__)

ThreadKey = tuple[str, str, str, int]
"""Pod UID, container, task, TID."""
_REASONS = {
    Trouble.THREAD_MISSING: EventReason.NO_THREAD,
    Trouble.THREAD_UNCLEAR: EventReason.NO_THREAD,
    Trouble.CONTAINER_UNKNOWN: EventReason.NO_THREAD,
    Trouble.POD_NOT_FOUND: EventReason.NOT_FOUND,
    Trouble.CONTAINER_NOT_FOUND: EventReason.NOT_FOUND,
    Trouble.UNREADABLE: EventReason.NOT_FOUND,
    Trouble.NO_THREAD: EventReason.NOT_FOUND,
    Trouble.INSIDE_VM: EventReason.OUT_OF_REACH,
    Trouble.INSIDE_SANDBOX: EventReason.OUT_OF_REACH,
    Trouble.NOT_RUNNING: EventReason.NOT_RUNNING,
    Trouble.CORE_CHANGING: EventReason.NOT_ENFORCED,
    Trouble.REFUSED_BY_KERNEL: EventReason.NOT_ENFORCED,
    Trouble.ENFORCED_LATE: EventReason.ENFORCED_LATE,
}
"""Event reasons of troubles. The trouble without one is the node's: its pod is gone."""
_LONGEST_STEP = 10.0
"""Seconds between two looks; a longer interval is not counted as throttled."""


class Usage(Protocol):
    """The kernel's accounting of threads, cores and budget groups."""

    def cpu_time(self, tid: int) -> int | None:
        """CPU time of a thread in ns; None when it is gone."""
        ...

    def stolen(self, core: int) -> int:
        """Time of a core that the hypervisor has stolen since boot, in ns."""
        ...

    def throttled(self) -> Mapping[int, int] | None:
        """Core → number of our budget groups throttled now; None where that is unreadable."""
        ...


class Feedback:
    """Measures all enforced threads in each look. ``clock`` is monotonic, in seconds."""

    def __init__(
        self,
        *,
        book: Book,
        enforcement: EnforcementView,
        usage: Usage,
        events: PodEvents,
        counts: OverrunCounts,
        metrics: FeedbackMetrics,
        tick: Nanoseconds,
        clock: MonotonicClock,
    ) -> None:
        self._book = book
        self._enforcement = enforcement
        self._usage = usage
        self._events = events
        self._counts = counts
        self._metrics = metrics
        self._tick = tick
        self._clock = clock
        self._meters: dict[ThreadKey, Meter] = {}
        self._looked = clock()

    def look(self) -> None:
        """Read all counters once; report overruns and what is not enforced."""
        meters: dict[ThreadKey, Meter] = {}
        stolen = cache(self._usage.stolen)
        entries = self._book.entries()
        for entry in entries:
            threads = self._enforcement.threads(entry.pod.uid)
            for container, task, core in _tasks(entry):
                tid = threads.get((container, task.name))
                if tid is None:
                    continue
                key = (entry.pod.uid, container, task.name, tid)
                meter = self._meters.get(key) or Meter(task, error=self._tick)
                meters[key] = meter
                self._read(entry, meter, tid, stolen(core))
        self._meters = meters
        self._counts.write([entry.pod.uid for entry in entries])
        self._count_throttling()
        self._report_conditions()

    def _read(self, entry: Entry, meter: Meter, tid: int, stolen: int) -> None:
        after = round(self._clock() * NS_PER_S)
        used = self._usage.cpu_time(tid)
        if used is None:
            return
        before = round(self._clock() * NS_PER_S)
        overrun = meter.read(Reading(after=after, before=before, used=used, stolen=stolen))
        if overrun is not None:
            self._report_overrun(entry.pod, entry.request.workload.criticality, overrun)

    def _report_overrun(self, pod: PodRef, criticality: Criticality, overrun: Overrun) -> None:
        self._metrics.overruns.labels(criticality=criticality.name).inc()
        self._counts.add(pod.uid)
        log.warning("overrun", extra={"pod": pod.uid, "evidence": overrun.text})
        self._events.add(pod, EventReason.OVERRUN, overrun.text, criticality=criticality)

    def _report_conditions(self) -> None:
        found = self._enforcement.conditions()
        counted = Counter(condition.trouble for condition in found)
        for trouble in Trouble:
            self._metrics.conditions.labels(trouble=trouble.value).set(counted[trouble])
        for condition in found:
            entry, reason = self._book.find(condition.pod_uid), _REASONS.get(condition.trouble)
            if entry is not None and reason is not None:
                self._report_to_owner(entry, reason, condition.text)
        for uid, text in self._enforcement.take_move_notices():
            entry = self._book.find(uid)
            if entry is not None:
                self._report_to_owner(entry, EventReason.MOVED_IN_A_JOB, text)
        for stand_in in self._enforcement.stand_ins():
            entry = self._book.find(stand_in.pod_uid)
            if entry is not None:
                self._report_to_owner(entry, EventReason.STAND_IN, stand_in.text)

    def _report_to_owner(self, entry: Entry, reason: EventReason, text: str) -> None:
        criticality = entry.request.workload.criticality
        self._events.add(entry.pod, reason, text, criticality=criticality)

    def _count_throttling(self) -> None:
        now = self._clock()
        step, self._looked = now - self._looked, now
        throttled = self._usage.throttled()
        if throttled is None or not 0 < step <= _LONGEST_STEP:
            return
        for core, groups in throttled.items():
            self._metrics.throttled.labels(core=str(core)).inc(step * groups)


def _tasks(entry: Entry) -> list[tuple[str, Task, int]]:
    return [
        (reservation.container, task, reservation.core)
        for reservation in entry.reservations
        for task in reservation.tasks
    ]
