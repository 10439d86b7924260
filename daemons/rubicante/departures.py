"""How a pod leaves: its threads go home, and its bandwidth is given back when it is not in use."""

import logging
from collections.abc import Callable

from daemons.rubicante.book import Book
from daemons.rubicante.entry import Entry
from daemons.rubicante.followed import Followed
from daemons.rubicante.metrics import EnforcementMetrics
from daemons.rubicante.placement import Kernel, held_by
from k40s.cpu.model import Mechanism
from k40s.errors import KernelError, UnavailableError
from k40s.units import NS_PER_S

log = logging.getLogger(__name__)


class Departures:
    """Acts on the kernel and the book, under its lock. ``clock`` is monotonic, in seconds.

    A deferrable server's budget may be given away at once: neighbours only gain. The bandwidth of
    a SCHED_DEADLINE thread may not: one that has used its budget at once has had its share of the
    core until its deadline, at most a period on, and admission counts on no more than that.
    """

    def __init__(
        self,
        *,
        book: Book,
        kernel: Kernel,
        metrics: EnforcementMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._book = book
        self._kernel = kernel
        self._metrics = metrics
        self._clock = clock

    def release(self, pod_uid: str, followed: Followed) -> bool:
        """Whether the pod is gone from kernel and book. What the kernel refuses is told once."""
        try:
            gone = self._kernel.release(pod_uid)
            self.note(self._book.find(pod_uid), followed)
            followed.parts, followed.reserved = {}, ()
            gone = gone and not self.lag(pod_uid, followed) and self._book.forget(pod_uid)
        except (KernelError, UnavailableError) as error:
            self._metrics.failures.inc()
            if str(error) != followed.failure:
                followed.failed = self._clock()
                log.warning("not released", extra={"pod": pod_uid, "cause": str(error)})
            followed.failure = str(error)
            return False
        followed.failure = ""
        if gone:
            log.info("bandwidth given back", extra={"pod": pod_uid})
        return gone

    def note(self, entry: Entry | None, followed: Followed) -> None:
        """SCHED_DEADLINE threads of the pod, if it has any, may have run until this moment."""
        if entry is not None and any(
            followed.part(held.name).threads
            for held in held_by(entry)
            if held.reservation.mechanism is Mechanism.DEADLINE
        ):
            followed.dropped = self._clock()

    def lag(self, pod_uid: str, followed: Followed) -> float:
        """Seconds for which bandwidth of SCHED_DEADLINE threads that are gone is still in use."""
        entry = self._book.find(pod_uid)
        periods = [
            r.server.period
            for r in (entry.reservations if entry is not None else ())
            if r.mechanism is Mechanism.DEADLINE
        ]
        if followed.dropped is None or not periods:
            return 0.0
        return max(0.0, followed.dropped + max(periods) / NS_PER_S - self._clock())
