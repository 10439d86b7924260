"""The node's side of a bind: a reservation, and its withdrawal if the bind fails."""

import logging
import secrets
from collections.abc import Callable
from contextlib import ExitStack

from extender.binding.outcome import BindResult, Outcome, refusal
from extender.cache.snapshot import NodeView
from extender.cache.workloads import ObservedPod
from extender.placement.admission_cache import AdmissionCache
from extender.ports import CpuReservations
from extender.protocol import BindingArgs
from k40s.cpu.workload import Workload, resolve, serves
from k40s.node_api.allocation import format_allocation
from k40s.node_api.client import DaemonError
from k40s.node_api.messages import PodRef, ReservationRequest
from k40s.reasons import Reason
from k40s.units import NS_PER_MS, Nanoseconds

_log = logging.getLogger(__name__)

_INDEPENDENT_OF_STATE = frozenset(
    {
        Reason.POD_INVALID,
        Reason.POD_UNKNOWN,
        Reason.POD_ELSEWHERE,
        Reason.POD_CHANGED,
        Reason.POD_WITHDRAWN,
        Reason.CPU_TEST_FAILED,
    }
)
"""Refusals that do not depend on the node's state: another pod may fit, or the same one later."""
_WITHDRAWAL = Nanoseconds(400 * NS_PER_MS)

NameAttempt = Callable[[], str]
"""Returns a name that is unique across processes."""


class NodeReservations:
    """Reserves at nodes' daemons. Any thread may call, also twice at once for the same pod."""

    def __init__(
        self,
        *,
        cpu: CpuReservations,
        admissions: AdmissionCache,
        name_attempt: NameAttempt = lambda: secrets.token_hex(8),
    ) -> None:
        self._cpu = cpu
        self._admissions = admissions
        self._name_attempt = name_attempt

    def reserve(
        self,
        args: BindingArgs,
        view: NodeView | None,
        pod: ObservedPod,
        workload: Workload,
        undo: ExitStack,
        *,
        generation: int | None = None,
    ) -> str | BindResult:
        """Reserves, and returns the allocation annotation; ``undo`` gets the withdrawal.

        With a generation the node refuses unless its state is still that one.
        """
        if view is None:
            return refusal(Reason.NODE_UNKNOWN)
        if view.cpu is None:
            return refusal(view.cpu_refusal or Reason.CPU_STATE_UNKNOWN)
        endpoint, attempt = view.cpu.endpoint, self._name_attempt()
        ref = PodRef(uid=args.uid, namespace=args.namespace, name=args.name)
        request = ReservationRequest(pod=ref, workload=workload, generation=generation)
        try:
            answer = self._cpu.reserve(endpoint, request, attempt=attempt)
        except DaemonError as error:
            _log.warning("reservation failed", extra=args.facts | {"cause": str(error)})
            if not error.certain:
                self._withdraw(endpoint, attempt, args)
            return refusal(error.reason, Outcome.FAULT)
        if answer.reason is not None:
            if answer.reason not in _INDEPENDENT_OF_STATE:
                self._admissions.invalidate(args.node, view.cpu, pod.contract, answer.reason)
            return refusal(answer.reason)
        undo.callback(self._withdraw, endpoint, attempt, args)
        node = view.cpu.node
        demand = resolve(
            workload, pod_uid=args.uid, platform=node.platform, factor=node.platform_factor
        )
        if isinstance(demand, Reason) or not serves(answer.granted, demand):
            return refusal(Reason.CPU_GRANT_DIFFERS, Outcome.FAULT)
        return format_allocation(answer.granted)

    def _withdraw(self, endpoint: str, attempt: str, args: BindingArgs) -> None:
        try:
            self._cpu.withdraw(endpoint, args.uid, attempt=attempt, timeout=_WITHDRAWAL)
        except DaemonError as error:
            _log.warning(
                "withdrawal failed; the lease will expire", extra=args.facts | {"cause": str(error)}
            )
