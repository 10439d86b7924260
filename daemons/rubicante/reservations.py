"""Reserve, release and judge: the pod is checked at the API server, the rest is the book's."""

import logging
import threading
from collections.abc import Callable

from daemons.rubicante.book import Book, Claim, Reserved
from daemons.rubicante.entry import Phase
from daemons.rubicante.kernel.mechanism import MechanismRefusedError
from daemons.rubicante.metrics import BookMetrics
from daemons.rubicante.pods import PodSource
from k40s.allocation import core_name
from k40s.annotations import ALLOCATION_KEY, read_workload
from k40s.cpu.model import Reservation
from k40s.cpu.outcome import Admission, Rejection
from k40s.errors import InvalidAnnotationError, KernelError, UnavailableError
from k40s.node_api import AdmissionAnswer, PodRef, ReservationRequest
from k40s.reasons import Reason
from k40s.runtime.records import PodRecord
from k40s.units import format_duration

log = logging.getLogger(__name__)


class Reservations:
    """The API's work. ``claim`` secures the kernel's consent, ``changed`` wakes the enforcer.

    ``enforceable`` tells whether the kernel can enforce anything at present; ``kernel_refused`` is
    set when it has not granted what the book admits.
    """

    def __init__(
        self,
        *,
        node: str,
        book: Book,
        pods: PodSource,
        claim: Claim,
        release: Callable[[str], bool],
        changed: Callable[[], None],
        metrics: BookMetrics,
        enforceable: Callable[[], bool],
    ) -> None:
        self._node = node
        self._book = book
        self._pods = pods
        self._claim = claim
        self._release = release
        self._changed = changed
        self._metrics = metrics
        self._enforceable = enforceable
        self._open = threading.Event()
        self.kernel_refused = threading.Event()

    @property
    def is_open(self) -> bool:
        """Whether the book is known to be true to node and pods."""
        return self._open.is_set()

    def open(self) -> None:
        """Node and pods are known: requests may be answered."""
        self._open.set()

    def reserve(self, request: ReservationRequest) -> tuple[AdmissionAnswer, bool]:
        """The answer, and whether the reservation is new.

        Raises ``UnavailableError`` and ``KernelError``; then, as on refusal, nothing has changed.
        """
        self._require_open()
        return self._reserve_and_tell(request)

    def _reserve_and_tell(self, request: ReservationRequest) -> tuple[AdmissionAnswer, bool]:
        outcome = self._reserve(request)
        if isinstance(outcome, Rejection):
            self._metrics.refusals.labels(reason=outcome.reason.value).inc()
            log.info(
                "pod refused",
                extra={
                    "pod": request.pod.uid,
                    "reason": outcome.reason.value,
                    "detail": outcome.detail,
                },
            )
            return self._answer(outcome), False
        if outcome.created:
            self._metrics.reserved.inc()
            self._metrics.show(self._book.node())
            log.info(
                "pod reserved",
                extra={"pod": request.pod.uid, "servers": list(map(_brief, _granted(outcome)))},
            )
            self._changed()
        return self._answer(outcome), outcome.created

    def judge(self, request: ReservationRequest) -> AdmissionAnswer:
        """What ``reserve`` would answer, without asking for the pod and without any change."""
        self._require_open()
        if not self._enforceable():
            return self._answer(Rejection(reason=Reason.CPU_NO_REAL_TIME))
        return self._answer(self._book.judge(request))

    def release(self, pod_uid: str) -> bool:
        """Give back a reservation whose pod was not bound; one of a bound pod ends with the pod.

        False, and nothing happens, for a bound pod. Absent is released.
        """
        with self._book.lock:
            entry = self._book.find(pod_uid)
            if entry is None:
                return True
            if entry.phase is Phase.BOUND:
                return False
            self._book.let_go(pod_uid)
            self._release(pod_uid)
        self._metrics.show(self._book.node())
        self._changed()
        return True

    def settle(self) -> None:
        """Confirm or release leases, as the API server tells of their pods.

        One whose pod is bound elsewhere or gone ends at once, any other when it ran out. Raises
        ``UnavailableError``: then the leases go on.
        """
        for entry in self._book.unsure():
            uid = entry.pod.uid
            pod = self._pods.get_pod(entry.pod.namespace, entry.pod.name)
            here = pod is not None and pod.uid == uid and not pod.ended
            if here and pod is not None and pod.node == self._node:
                self._book.confirm(uid)
                continue
            lost = not here or (pod is not None and (pod.node or pod.deleting))
            with self._book.lock:  # a repeated request may have renewed it meanwhile
                if self._book.has_expired(uid) or (lost and self._book.is_leased(uid)):
                    cause = "its pod will not come" if lost else "it ran out"
                    log.info("reservation expired", extra={"pod": uid, "cause": cause})
                    self.release(uid)

    def adopt(self, record: PodRecord) -> bool:
        """Reserve for a pod that is bound here by us and missing in the book (a lost store).

        True when the pod holds a reservation afterwards, or needs none.
        """
        if ALLOCATION_KEY not in record.annotations or record.ended:
            return True
        if self._book.find(record.uid) is not None:
            return True
        try:
            workload = read_workload(
                labels=record.labels, annotations=record.annotations, containers=record.containers
            )
        except InvalidAnnotationError as error:
            log.warning("pod not adopted", extra={"pod": record.uid, "cause": str(error)})
            return False
        if not workload.is_real_time:
            return True
        pod = PodRef(uid=record.uid, namespace=record.namespace, name=record.name)
        try:
            answer, _ = self._reserve_and_tell(ReservationRequest(pod=pod, workload=workload))
        except KernelError as error:
            log.warning("pod not adopted", extra={"pod": record.uid, "cause": str(error)})
            return False
        if answer.schedulable:
            self._book.confirm(record.uid)
        return answer.schedulable

    def _require_open(self) -> None:
        if not self.is_open:
            raise UnavailableError("starting: the node or its pods are not known yet")

    def _reserve(self, request: ReservationRequest) -> Reserved | Rejection:
        if not self._enforceable():
            return Rejection(reason=Reason.CPU_NO_REAL_TIME)
        pod = self._pods.get_pod(request.pod.namespace, request.pod.name)
        if pod is None or pod.uid != request.pod.uid or pod.ended or pod.deleting:
            return Rejection(reason=Reason.POD_UNKNOWN)
        if pod.node not in ("", self._node):
            return Rejection(reason=Reason.POD_ELSEWHERE, detail=f"on {pod.node}")
        absent = {task.container for task in request.workload.tasks} - set(pod.containers)
        if absent:
            return Rejection(
                reason=Reason.POD_INVALID, detail=f"no such container: {sorted(absent)}"
            )
        if pod.node:
            self._book.confirm(pod.uid)
        with self._book.lock:  # which the next look at the kernel takes
            try:
                return self._book.reserve(request, containers=pod.containers, claim=self._claim)
            except MechanismRefusedError as error:
                self.kernel_refused.set()
                return Rejection(reason=Reason.CPU_KERNEL_REFUSED, detail=str(error))

    def _answer(self, outcome: Reserved | Admission | Rejection) -> AdmissionAnswer:
        with self._book.lock:
            node, generation = self._book.node(), self._book.generation
        refused = isinstance(outcome, Rejection)
        if isinstance(outcome, Admission):
            node = outcome.node
        return AdmissionAnswer(
            schedulable=not refused,
            reason=outcome.reason if isinstance(outcome, Rejection) else None,
            detail=outcome.detail if isinstance(outcome, Rejection) else "",
            utilization=node.utilizations(),
            granted=_granted(outcome),
            generation=generation,
        )


def _brief(reservation: Reservation) -> str:
    budget = format_duration(reservation.server.budget)
    period = format_duration(reservation.server.period)
    core = core_name(reservation.core)
    return f"{reservation.container}: {budget} in {period} on core {core}"


def _granted(outcome: Reserved | Admission | Rejection) -> tuple[Reservation, ...]:
    match outcome:
        case Reserved():
            return outcome.entry.reservations
        case Admission():
            return outcome.granted
        case _:
            return ()
