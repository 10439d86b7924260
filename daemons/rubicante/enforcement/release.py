"""Release of pods and of orphans: threads are restored, bandwidth is returned when unused."""

import logging

from daemons.rubicante.book.book import Book
from daemons.rubicante.enforcement.tracked_pods import TrackedPod
from daemons.rubicante.mechanisms.back_end import Stray, held_by
from daemons.rubicante.mechanisms.back_ends import KernelView
from daemons.rubicante.metrics import EnforcementMetrics
from k40s.cpu.model import Mechanism
from k40s.errors import KernelError, UnavailableError
from k40s.units import NS_PER_S, MonotonicClock

log = logging.getLogger(__name__)


class Releases:
    """Acts on the kernel and the book, under its lock. ``clock`` is monotonic, in seconds.

    A deferrable server's budget may be granted to others at once. That of a SCHED_DEADLINE thread
    may not: a thread that used its budget early has had its share of the core until its deadline,
    at most a period later, and admission counts on no more than that.
    """

    def __init__(self, *, book: Book, metrics: EnforcementMetrics, clock: MonotonicClock) -> None:
        self._book = book
        self._metrics = metrics
        self._clock = clock
        self._strays: frozenset[str] = frozenset()

    def release(self, pod_uid: str, pod: TrackedPod, kernel: KernelView) -> bool:
        """Whether the pod is gone from kernel and book. Logs each distinct cause once."""
        failure, entry = pod.release.failure, self._book.find(pod_uid)
        try:
            gone = kernel.release(pod_uid)
            if entry is not None:
                pod.note_deadline_use(held_by(entry), self._clock())
            pod.enforcement.clear()
            gone = gone and not self.lag(pod_uid, pod) and self._book.forget(pod_uid)
        except (KernelError, UnavailableError, OSError) as error:
            self._metrics.failures.inc()
            if failure.note(str(error), self._clock()):
                log.warning("bandwidth not returned", extra={"pod": pod_uid, "cause": str(error)})
            return False
        failure.clear()
        if gone:
            log.info("bandwidth returned", extra={"pod": pod_uid})
        return gone

    def sweep(self, kernel: KernelView) -> tuple[Stray, ...]:
        """Remove k40s's kernel objects that are not in the book; logs each once."""
        strays = tuple(stray for _, view in kernel.all() for stray in view.sweep())
        for stray in strays:
            if stray.cause:
                self._metrics.failures.inc()
            if stray.what not in self._strays:
                log.warning(
                    "orphaned in the kernel",
                    extra={"what": stray.what, "idle": stray.idle, "cause": stray.cause},
                )
        self._strays = frozenset(stray.what for stray in strays)
        return strays

    def lag(self, pod_uid: str, pod: TrackedPod) -> float:
        """Seconds for which bandwidth of SCHED_DEADLINE threads that are gone is still in use."""
        entry, ran_until = self._book.find(pod_uid), pod.release.ran_until
        periods = [
            r.server.period
            for r in (entry.reservations if entry is not None else ())
            if r.mechanism is Mechanism.DEADLINE
        ]
        if ran_until is None or not periods:
            return 0.0
        return max(0.0, ran_until + max(periods) / NS_PER_S - self._clock())
