"""Tells a pod's owner what goes wrong: tasks that use more than agreed, or are not enforced."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Protocol

from daemons.rubicante.book import Book
from daemons.rubicante.conditions import Condition, Trouble
from daemons.rubicante.entry import Entry
from daemons.rubicante.metrics import FeedbackMetrics
from daemons.rubicante.notices import Notice, Notices
from daemons.rubicante.overrun import Meter, Overrun, Reading
from k40s.cpu.model import Task
from k40s.criticality import Criticality
from k40s.node_api import PodRef
from k40s.units import NS_PER_S, Nanoseconds

log = logging.getLogger(__name__)

ThreadKey = tuple[str, str, str, int]
"""Pod UID, container, task, TID."""
_TOLD = {
    Trouble.THREAD_MISSING: Notice.NO_THREAD,
    Trouble.CONTAINER_UNKNOWN: Notice.NO_THREAD,
    Trouble.CORE_CHANGING: Notice.NOT_ENFORCED,
    Trouble.REFUSED_BY_KERNEL: Notice.NOT_ENFORCED,
}
"""Troubles that the pod's owner should know of. The other is the node's, and its pod is gone."""
_TEXT = {
    Trouble.THREAD_MISSING: "no thread bears the name of {tasks} (container {container}): "
    "it runs as an ordinary one",
    Trouble.CONTAINER_UNKNOWN: "which of the pod's cgroups is container {container} is not known: "
    "{tasks} runs as an ordinary thread",
    Trouble.CORE_CHANGING: "{tasks} (container {container}) waits for other servers to grow",
    Trouble.REFUSED_BY_KERNEL: "{tasks} (container {container}) is not enforced: {detail}",
}
_LONGEST_STEP = 10.0
"""Seconds between two looks beyond which the time between is not counted as throttled."""


class Usage(Protocol):
    """What the kernel tells of threads, cores and budget groups."""

    def cpu_time(self, tid: int) -> int | None:
        """CPU time of a thread in ns; None when it is gone."""
        ...

    def stolen(self, core: int) -> int:
        """What the hypervisor has taken of a core since boot, in ns."""
        ...

    def throttled(self) -> Mapping[int, int] | None:
        """Core → budget groups of ours that are throttled now; None where that cannot be read."""
        ...


class Feedback:
    """Looks at all enforced threads in turn. ``threads`` tells a pod's: (container, task) → TID.

    ``clock`` is monotonic and in seconds; wall time is never looked at.
    """

    def __init__(
        self,
        *,
        book: Book,
        threads: Callable[[str], Mapping[tuple[str, str], int]],
        conditions: Callable[[], Sequence[Condition]],
        usage: Usage,
        notices: Notices,
        metrics: FeedbackMetrics,
        tick: Nanoseconds,
        clock: Callable[[], float],
    ) -> None:
        self._book = book
        self._threads = threads
        self._conditions = conditions
        self._usage = usage
        self._notices = notices
        self._metrics = metrics
        self._tick = tick
        self._clock = clock
        self._meters: dict[ThreadKey, Meter] = {}
        self._looked = clock()

    def look(self) -> None:
        """Read everything once."""
        meters: dict[ThreadKey, Meter] = {}
        stolen = cache(self._usage.stolen)
        for entry in self._book.entries():
            threads = self._threads(entry.pod.uid)
            for container, task, core in _tasks(entry):
                tid = threads.get((container, task.name))
                if tid is None:
                    continue
                key = (entry.pod.uid, container, task.name, tid)
                meter = self._meters.get(key) or Meter(task, error=self._tick)
                meters[key] = meter
                self._read(entry, meter, tid, stolen(core))
        self._meters = meters
        self._count_throttling()
        self._tell_conditions()

    def _read(self, entry: Entry, meter: Meter, tid: int, stolen: int) -> None:
        after = round(self._clock() * NS_PER_S)
        used = self._usage.cpu_time(tid)
        if used is None:
            return
        before = round(self._clock() * NS_PER_S)
        overrun = meter.read(Reading(after=after, before=before, used=used, stolen=stolen))
        if overrun is not None:
            self._tell(entry.pod, entry.request.workload.criticality, overrun)

    def _tell(self, pod: PodRef, criticality: Criticality, overrun: Overrun) -> None:
        self._metrics.overruns.labels(criticality=criticality.name).inc()
        log.warning("overrun", extra={"pod": pod.uid, "evidence": overrun.text})
        self._notices.tell(pod, Notice.OVERRUN, overrun.text)

    def _tell_conditions(self) -> None:
        found = self._conditions()
        counted = Counter(condition.trouble for condition in found)
        for trouble in Trouble:
            self._metrics.conditions.labels(trouble=trouble.value).set(counted[trouble])
        for condition in found:
            entry, notice = self._book.find(condition.pod_uid), _TOLD.get(condition.trouble)
            if entry is not None and notice is not None:
                self._notices.tell(entry.pod, notice, _text(condition))

    def _count_throttling(self) -> None:
        now = self._clock()
        step, self._looked = now - self._looked, now
        throttled = self._usage.throttled()
        if throttled is None or not 0 < step <= _LONGEST_STEP:
            return
        for core, groups in throttled.items():
            self._metrics.throttled.labels(core=str(core)).inc(step * groups)


def _text(condition: Condition) -> str:
    return _TEXT[condition.trouble].format(
        tasks=", ".join(condition.tasks), container=condition.container, detail=condition.detail
    )


def _tasks(entry: Entry) -> list[tuple[str, Task, int]]:
    return [
        (reservation.container, task, reservation.core)
        for reservation in entry.reservations
        for task in reservation.tasks
    ]
