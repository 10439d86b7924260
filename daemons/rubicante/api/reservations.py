"""Reserve, release and preview: checks the pod at the API server and calls the book."""

import logging
import threading
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Protocol

from daemons.rubicante.api.failures import CutOffError, StartingError
from daemons.rubicante.book.agreement import read_held_workload
from daemons.rubicante.book.book import Book, Reserved
from daemons.rubicante.book.entry import Entry, Phase
from daemons.rubicante.cluster.pods import PodSource, Wake
from daemons.rubicante.mechanisms.back_end import MechanismRefusedError
from daemons.rubicante.metrics import BookMetrics, ExchangeMetrics
from k40s.annotations import ALLOCATION_KEY
from k40s.cpu.admission.exchange import Exchange
from k40s.cpu.model import Reservation
from k40s.cpu.outcome import Admission, Rejection
from k40s.cpu.price import Price, prices_of
from k40s.errors import InvalidAnnotationError, UnavailableError, UnreadableError
from k40s.kube.records import PodRecord
from k40s.node_api.allocation import core_name
from k40s.node_api.messages import AdmissionAnswer, PodRef, ReservationRequest
from k40s.reasons import Reason
from k40s.units import format_duration

log = logging.getLogger(__name__)


WhyNotEnforceable = Callable[[], str]
"""Why the kernel cannot enforce anything at present; empty where it can."""


class KernelClaims(Protocol):
    """The kernel's side of a reservation; implemented by ``Enforcer``."""

    def claim(self, entry: Entry, others: Iterable[Entry]) -> None:
        """Reserve in the kernel. Raises ``KernelError``, and then has changed nothing."""
        ...

    def release(self, pod_uid: str) -> bool:
        """Return what the kernel holds for a pod; whether all of it was returned."""
        ...


class Reservations:
    """The API's operations. ``changed`` wakes the enforcer.

    ``kernel_refused`` is set when the kernel has not granted what the book admitted.
    """

    def __init__(
        self,
        *,
        node: str,
        book: Book,
        pods: PodSource,
        enforcer: KernelClaims,
        changed: Wake,
        metrics: BookMetrics,
        exchange_metrics: ExchangeMetrics,
        why_not_enforceable: WhyNotEnforceable,
    ) -> None:
        self._node = node
        self._book = book
        self._pods = pods
        self._enforcer = enforcer
        self._changed = changed
        self._metrics = metrics
        self._exchange_metrics = exchange_metrics
        self._why_not_enforceable = why_not_enforceable
        self._open = threading.Event()
        self.kernel_refused = threading.Event()

    @property
    def is_open(self) -> bool:
        """Whether the book agrees with node and pods."""
        return self._open.is_set()

    def open(self) -> None:
        """Answer requests from now on: node and pods are known."""
        self._open.set()

    def reserve(
        self, request: ReservationRequest, attempt: str = ""
    ) -> tuple[AdmissionAnswer, bool]:
        """The answer, and whether the reservation is new; ``attempt`` may be withdrawn later.

        Raises ``UnavailableError`` and ``KernelError``; then, as on refusal, nothing has changed.
        """
        self._require_open()
        return self._reserve_and_log(request, attempt)

    def restore(self, request: ReservationRequest) -> AdmissionAnswer:
        """Reserve for a pod that the book lost, also before requests are answered.

        Raises what ``reserve`` raises.
        """
        answer, _ = self._reserve_and_log(request, "")
        return answer

    def _reserve_and_log(
        self, request: ReservationRequest, attempt: str
    ) -> tuple[AdmissionAnswer, bool]:
        outcome = self._reserve(request, attempt)
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
            self._metrics.show(self._book.standing())
            log.info(
                "pod reserved",
                extra={
                    "pod": request.pod.uid,
                    "servers": list(map(_brief, _granted(outcome))),
                    "prices": list(map(_in_short, prices_of(_granted(outcome)))),
                },
            )
            if outcome.exchange is not None:
                self._note_exchange(outcome.exchange)
            self._changed()
        return self._answer(outcome), outcome.created

    def _note_exchange(self, exchange: Exchange) -> None:
        self._exchange_metrics.begun.inc()
        log.info(
            "exchange begun",
            extra={
                "pod": exchange.pod_uid,
                "core": exchange.core,
                "servers": [
                    f"{step.before.pod_uid}: {_brief(step.before)} -> {_brief(step.after)}"
                    for step in exchange.steps
                ],
            },
        )

    def preview(self, request: ReservationRequest) -> AdmissionAnswer:
        """What ``reserve`` would answer, without looking up the pod and without any change."""
        self._require_open()
        if cause := self._why_not_enforceable():
            return self._answer(Rejection(reason=Reason.CPU_NO_REAL_TIME, detail=cause))
        return self._answer(self._book.preview(request))

    def release(self, pod_uid: str, attempt: str = "") -> bool:
        """Release the reservation of an unbound pod; that of a bound pod ends with the pod.

        Returns False and changes nothing for a bound pod; an absent reservation counts as released.
        An ``attempt`` is withdrawn, even before its request arrives; the reservation stays while
        another attempt waits for it.
        """
        with self._book.lock:
            if attempt and not self._book.withdraw(pod_uid, attempt):
                return True
            entry = self._book.find(pod_uid)
            if entry is None:
                return True
            if entry.phase is Phase.BOUND:
                return False
            self._book.start_release(pod_uid)
            self._enforcer.release(pod_uid)
        self._metrics.show(self._book.standing())
        self._changed()
        return True

    def _require_open(self) -> None:
        if not self.is_open:
            raise StartingError("starting: the node or its pods are not known yet")

    def _look_up(self, pod: PodRef) -> PodRecord | None:
        try:
            return self._pods.get_pod(pod.namespace, pod.name)
        except UnreadableError:  # this pod alone: others are looked up all the same
            raise
        except UnavailableError as error:
            raise CutOffError(f"the pod cannot be looked up: {error}") from error

    def _reserve(self, request: ReservationRequest, attempt: str) -> Reserved | Rejection:
        if cause := self._why_not_enforceable():
            return Rejection(reason=Reason.CPU_NO_REAL_TIME, detail=cause)
        pod = self._look_up(request.pod)
        if pod is None or pod.uid != request.pod.uid or pod.ended or pod.deleting:
            return Rejection(reason=Reason.POD_UNKNOWN)
        if pod.node not in ("", self._node):
            return Rejection(reason=Reason.POD_ELSEWHERE, detail=f"on {pod.node}")
        unfit = {task.container for task in request.workload.tasks} - set(pod.task_containers)
        if unfit:
            return Rejection(reason=Reason.POD_INVALID, detail=_unfit(unfit, pod))
        if pod.node:
            self._book.confirm(pod.uid)
        with self._book.lock:  # which the next look at the kernel takes
            try:
                return self._overtaken(request, pod) or self._book.reserve(
                    request,
                    containers=pod.all_containers,
                    claim=self._enforcer.claim,
                    attempt=attempt,
                    runs=bool(pod.node) and ALLOCATION_KEY in pod.annotations,
                )
            except MechanismRefusedError as error:
                self.kernel_refused.set()
                return Rejection(reason=Reason.CPU_KERNEL_REFUSED, detail=str(error))

    def _overtaken(self, request: ReservationRequest, pod: PodRecord) -> Rejection | None:
        """Refuse to replace a lease for exactly what the pod asks for now.

        A slower bind of an older version of the pod may arrive after the bind that will succeed.
        """
        held = self._book.find(request.pod.uid)
        if held is None or held.phase is not Phase.LEASED:
            return None
        if held.request.workload == request.workload:
            return None
        try:
            if read_held_workload(pod) != held.request.workload:
                return None
        except InvalidAnnotationError:
            return None
        return Rejection(reason=Reason.POD_CHANGED, detail="it holds a lease for what it says now")

    def _answer(self, outcome: Reserved | Admission | Exchange | Rejection) -> AdmissionAnswer:
        with self._book.lock:
            node, generation = self._book.standing(), self._book.generation
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
            exchange=_exchanges(outcome),
        )


def _unfit(containers: AbstractSet[str], pod: PodRecord) -> str:
    """Why tasks cannot be in these containers."""
    absent = sorted(containers - set(pod.all_containers))
    if absent:
        return f"no such container: {absent}"
    return (
        f"init containers end before the others start: {sorted(containers)}; "
        "one with restartPolicy: Always may hold tasks"
    )


def _brief(reservation: Reservation) -> str:
    budget = format_duration(reservation.server.budget)
    period = format_duration(reservation.server.period)
    core = core_name(reservation.core)
    return f"{reservation.container}: {budget} in {period} on core {core}"


def _in_short(price: Price) -> str:
    return (
        f"{price.container}: WCETs {float(price.declared):.3f}, "
        f"reserved {float(price.reserved):.3f} of a core"
    )


def _exchanges(outcome: Reserved | Admission | Exchange | Rejection) -> bool:
    return isinstance(outcome, Exchange) or (
        isinstance(outcome, Reserved) and outcome.exchange is not None
    )


def _granted(outcome: Reserved | Admission | Exchange | Rejection) -> tuple[Reservation, ...]:
    match outcome:
        case Reserved():
            return outcome.entry.reservations
        case Admission() | Exchange():
            return outcome.granted
        case _:
            return ()
