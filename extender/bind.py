"""Binding is a transaction, idempotent by the pod's UID: reserve at the node, create the Binding.

On a failure that is certain, what was done is undone in reverse. When it is not known whether the
Binding was created, nothing is undone: a bound pod must not lose its reservation, and one that is
not bound loses it when the reservation's lease ends.
"""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum

from extender.contracts import Contract, Contracts
from extender.memory import AdmissionMemory
from extender.nodes import NodeCache
from extender.ports import CpuReservations, PodBindings
from extender.wire import BindingArgs
from k40s.allocation import format_allocation
from k40s.annotations import ALLOCATION_KEY
from k40s.cpu.workload import Workload
from k40s.errors import UnavailableError
from k40s.node_api import PodRef, ReservationRequest
from k40s.reasons import Reason
from k40s.runtime.kube_transport import ConflictError, NotFoundError
from k40s.units import Nanoseconds

_log = logging.getLogger(__name__)

API_SILENT = "the API server does not answer"
_NOT_OF_THE_STATE = frozenset(
    {Reason.POD_INVALID, Reason.POD_UNKNOWN, Reason.POD_ELSEWHERE, Reason.CPU_TEST_FAILED}
)
"""Refusals that say nothing of what the node has left: another pod may fit, or the same later."""


class Outcome(StrEnum):
    """How a bind ended; a metric's label."""

    BOUND = "bound"
    REFUSED = "refused"
    FAULT = "fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class BindResult:
    """``error`` is empty where the pod is bound, else a constant text."""

    outcome: Outcome
    error: str = ""


class Binder:
    """Binds pods. Any thread may call, also twice at once for the same pod."""

    def __init__(
        self,
        *,
        cache: NodeCache,
        contracts: Contracts,
        memory: AdmissionMemory,
        cpu: CpuReservations,
        pods: PodBindings,
        timeout: Nanoseconds,
    ) -> None:
        self._cache = cache
        self._contracts = contracts
        self._memory = memory
        self._cpu = cpu
        self._pods = pods
        self._timeout = timeout

    def bind(self, args: BindingArgs) -> BindResult:
        """Bind, or say why not."""
        try:
            result = self._bind(args)
        except ConflictError:
            result = refusal(Reason.POD_ELSEWHERE)
        except NotFoundError:
            result = refusal(Reason.POD_UNKNOWN)
        except UnavailableError as error:
            _log.warning("bind failed", extra=_facts(args) | {"cause": str(error)})
            return BindResult(outcome=Outcome.FAULT, error=API_SILENT)
        if result.outcome is Outcome.BOUND:
            self._cache.assume(args.uid, args.node)
            self._contracts.forget(args.uid)
        else:
            _log.info("bind refused", extra=_facts(args) | {"cause": result.error})
        return result

    def _bind(self, args: BindingArgs) -> BindResult:
        contract = self._contracts.recall(args.uid) or self._fetch(args)
        if contract is None:
            return refusal(Reason.POD_UNKNOWN)
        if contract.workload is None:
            return BindResult(outcome=Outcome.REFUSED, error=contract.fault)
        annotations: dict[str, str] = {}
        with ExitStack() as undo:
            if contract.workload.is_real_time:
                reserved = self._reserve(args, contract, contract.workload, undo)
                if isinstance(reserved, BindResult):
                    return reserved
                annotations[ALLOCATION_KEY] = reserved
            self._create_binding(args, annotations, undo)
            undo.pop_all()
        if annotations:
            _log.info("pod bound", extra=_facts(args) | {"allocation": reserved})
        return BindResult(outcome=Outcome.BOUND)

    def _reserve(
        self, args: BindingArgs, contract: Contract, workload: Workload, undo: ExitStack
    ) -> str | BindResult:
        """Reserve, and return the allocation as the pod will carry it."""
        view = self._cache.snapshot().nodes.get(args.node)
        if view is None:
            return refusal(Reason.NODE_UNKNOWN)
        if view.cpu is None:
            return refusal(view.cpu_refusal or Reason.CPU_STATE_UNKNOWN)
        endpoint = view.cpu.endpoint
        pod = PodRef(uid=args.uid, namespace=args.namespace, name=args.name)
        try:
            answer = self._cpu.reserve(endpoint, ReservationRequest(pod=pod, workload=workload))
        except UnavailableError as error:
            _log.warning("reservation failed", extra=_facts(args) | {"cause": str(error)})
            return refusal(Reason.CPU_DAEMON_SILENT, Outcome.FAULT)
        if answer.reason is not None:
            if answer.reason not in _NOT_OF_THE_STATE:
                self._memory.contradict(args.node, view.cpu, contract, answer.reason)
            return refusal(answer.reason)
        undo.callback(self._release, endpoint, args)
        return format_allocation(answer.granted)

    def _create_binding(
        self, args: BindingArgs, annotations: dict[str, str], undo: ExitStack
    ) -> None:
        try:
            self._pods.create_binding(
                namespace=args.namespace,
                name=args.name,
                uid=args.uid,
                node=args.node,
                annotations=annotations,
                timeout=self._timeout,
            )
        except UnavailableError:
            undo.pop_all()
            raise

    def _release(self, endpoint: str, args: BindingArgs) -> None:
        try:
            self._cpu.release(endpoint, args.uid)
        except UnavailableError as error:
            _log.warning("release left to its lease", extra=_facts(args) | {"cause": str(error)})

    def _fetch(self, args: BindingArgs) -> Contract | None:
        pod = self._pods.get_pod(args.namespace, args.name)
        if pod is None or pod.uid != args.uid:
            return None
        return self._contracts.read(
            labels=pod.labels, annotations=pod.annotations, containers=pod.containers
        )


Bind = Callable[[BindingArgs], BindResult]


def refusal(reason: Reason, outcome: Outcome = Outcome.REFUSED) -> BindResult:
    """The constant text of a reason, after its code."""
    return BindResult(outcome=outcome, error=describe(reason))


def describe(reason: Reason) -> str:
    """What people and the scheduler are shown: code and constant text."""
    return f"{reason.value}: {reason.text}"


def _facts(args: BindingArgs) -> dict[str, object]:
    return {
        "namespace": args.namespace,
        "pod": args.name,
        "uid": args.uid,
        "node": args.node,
    }
