"""Reconciles the book with the node's pods: confirms or ends leases, reserves again, sweeps."""

import logging
import threading
from collections.abc import Sequence
from typing import Protocol

from daemons.rubicante.api.reservations import Reservations
from daemons.rubicante.book.agreement import read_held_workload
from daemons.rubicante.book.book import Book
from daemons.rubicante.cluster.pods import PodList, PodSource
from daemons.rubicante.mechanisms.back_end import Stray
from daemons.rubicante.metrics import EnforcementMetrics
from k40s.annotations import ALLOCATION_KEY
from k40s.errors import InvalidAnnotationError, KernelError, UnavailableError, UnreadableError
from k40s.kube.records import PodRecord
from k40s.node_agent.backoff import Backoff
from k40s.node_api.messages import PodRef, ReservationRequest
from k40s.units import MonotonicClock

log = logging.getLogger(__name__)

_ADOPTION_SECONDS = 10.0
"""Between two attempts to reserve for a pod that was refused."""


class Sweeper(Protocol):
    """Removes kernel objects without a reservation; implemented by ``Enforcer``."""

    def sweep(self) -> tuple[Stray, ...]:
        """Remove them; returns what could not be removed yet."""
        ...


class Upkeep:
    """Periodic reconciliation; the first ``tick`` that succeeds opens the reservations.

    ``described`` is set while the node's platform is known, ``synchronized`` once its pods are.
    ``clock`` is monotonic, in seconds.
    """

    def __init__(
        self,
        *,
        node: str,
        book: Book,
        pods: PodList,
        source: PodSource,
        reservations: Reservations,
        enforcer: Sweeper,
        described: threading.Event,
        synchronized: threading.Event,
        backoff: Backoff,
        metrics: EnforcementMetrics,
        clock: MonotonicClock,
    ) -> None:
        self._node = node
        self._book = book
        self._pods = pods
        self._source = source
        self._reservations = reservations
        self._enforcer = enforcer
        self._described = described
        self._synchronized = synchronized
        self._backoff = backoff
        self._metrics = metrics
        self._clock = clock
        self._refused: dict[str, float] = {}
        self._strays: tuple[Stray, ...] = ()

    def strays(self) -> Sequence[Stray]:
        """Kernel objects without a reservation, as of the last sweep."""
        return self._strays

    def tick(self) -> None:
        """Resolve leases, adopt pods, sweep; nothing until node and pods are known."""
        known = self._described.is_set() and self._synchronized.is_set()
        if not known or self._backoff.active:
            return
        try:
            self.resolve_leases()
            unreserved = self._adopt_all()
        except UnavailableError as error:
            self._backoff.failed("leases not resolved", error)
            return
        self._metrics.unreserved.set(unreserved)
        self._strays = self._enforcer.sweep()
        if not self._reservations.is_open:
            self._reservations.open()
            log.info(
                "reconciled",
                extra={
                    "reservations": len(self._book.entries()),
                    "unreserved": unreserved,
                    "orphans": len(self._strays),
                },
            )

    def resolve_leases(self) -> None:
        """Confirm or release leases, by the state of their pods at the API server.

        A lease ends at once when its pod is bound elsewhere or gone, otherwise when it expires.
        Leases continue when the API server is unavailable (``UnavailableError``); so does that of
        a pod that cannot be read.
        """
        for entry in self._book.due_leases():
            uid = entry.pod.uid
            try:
                pod = self._source.get_pod(entry.pod.namespace, entry.pod.name)
            except UnreadableError as error:
                log.warning("lease continues", extra={"pod": uid, "cause": str(error)})
                continue
            here = pod is not None and pod.uid == uid and not pod.ended
            if here and pod is not None and pod.node == self._node:
                self._book.confirm(uid)
                continue
            lost = not here or (pod is not None and (pod.node or pod.deleting))
            with self._book.lock:  # a repeated request may have renewed it meanwhile
                if self._book.has_expired(uid) or (lost and self._book.is_leased(uid)):
                    cause = "pod gone or bound elsewhere" if lost else "lease expired"
                    log.info("reservation expired", extra={"pod": uid, "cause": cause})
                    self._reservations.release(uid)

    def _adopt_all(self) -> int:
        """Reserve for pods that the book lost; the number of pods that could not be adopted."""
        now, present = self._clock(), self._pods.records()
        uids = {pod.uid for pod in present}
        self._refused = {uid: due for uid, due in self._refused.items() if uid in uids}
        for pod in present:
            if self._refused.get(pod.uid, now) > now:
                continue
            self._refused.pop(pod.uid, None)
            if not self.adopt(pod):
                self._refused[pod.uid] = now + _ADOPTION_SECONDS
        return len(self._refused)

    def adopt(self, record: PodRecord) -> bool:
        """Reserve for a pod that is bound here by us and missing in the book (a lost store).

        True when the pod holds a reservation afterwards, or needs none.
        """
        if ALLOCATION_KEY not in record.annotations or record.ended:
            return True
        if self._book.find(record.uid) is not None:
            return True
        try:
            workload = read_held_workload(record)
        except InvalidAnnotationError as error:
            log.warning("pod not adopted", extra={"pod": record.uid, "cause": str(error)})
            return False
        if not workload.is_real_time:
            return True
        pod = PodRef(uid=record.uid, namespace=record.namespace, name=record.name)
        try:
            answer = self._reservations.restore(ReservationRequest(pod=pod, workload=workload))
        except (KernelError, UnreadableError) as error:
            log.warning("pod not adopted", extra={"pod": record.uid, "cause": str(error)})
            return False
        if answer.schedulable:
            self._book.confirm(record.uid)
        return answer.schedulable
