"""Bind: a transaction, idempotent by the pod's UID. Its steps stand in ``Binder``, in order.

The Binding is conditional on the pod version whose contract was reserved, so that what is admitted,
granted and declared is the same. After a certain failure the steps are undone in reverse. If it is
unknown whether the Binding was created, nothing is undone: a bound pod must not lose its
reservations, and an unbound one loses them when their leases expire. If it is unknown whether the
node has reserved, the attempt is withdrawn, whichever request the node sees first.
"""

import logging
from contextlib import ExitStack

from extender.binding.api_server import ConditionalBindings
from extender.binding.entry_lease import EntryLease
from extender.binding.network_reservation import NetworkReservations
from extender.binding.outcome import BindResult, Outcome, fault, find_end, refusal
from extender.binding.reservation import NodeReservations
from extender.binding.tenant_entries import TenantEntries
from extender.cache.claims import ClaimTable
from extender.cache.nodes import NodeCache
from extender.cache.pod_places import PodPlaces
from extender.cache.snapshot import Snapshot
from extender.cache.workloads import ObservedPod, WorkloadCache
from extender.metrics import ExtenderMetrics
from extender.placement.candidates import split_by_assurance
from extender.placement.isolation import Isolation
from extender.preemption.held_room import HeldRoom
from extender.protocol import BindingArgs, encode, parse_binding_args
from k40s.annotations import ALLOCATION_KEY, NETWORK_GRANT_KEY
from k40s.cpu.workload import Workload
from k40s.errors import InvalidInputError, UnavailableError
from k40s.kube.transport import RefusedError
from k40s.reasons import Reason

_log = logging.getLogger(__name__)

_LOGGED = {ALLOCATION_KEY: "allocation", NETWORK_GRANT_KEY: "networks"}
"""Annotations of grants, and their fields in the log."""


class Bind:
    """The verb ``bind``. Any thread may call."""

    name = "bind"

    def __init__(self, *, binder: "Binder", metrics: ExtenderMetrics) -> None:
        self._binder = binder
        self._metrics = metrics

    def __call__(self, body: bytes) -> bytes:
        """Answers ``ExtenderBindingResult``."""
        try:
            args = parse_binding_args(body)
        except InvalidInputError as error:
            self._metrics.faults[self.name].inc()
            return format_binding_result(str(error))
        result = self._binder.bind(args)
        self._metrics.binds[result.outcome].inc()
        if result.reason is not None:
            self._metrics.bind_refusals[result.reason].inc()
        return format_binding_result(result.error)

    def fault(self, text: str) -> bytes:
        """A reply with the fault in its field ``Error``."""
        return format_binding_result(text)


class Binder:
    """Binds pods. Any thread may call, also twice at once for the same pod."""

    def __init__(
        self,
        *,
        cache: NodeCache,
        workloads: WorkloadCache,
        bindings: ConditionalBindings,
        reservations: NodeReservations,
        networks: NetworkReservations,
        tenants: TenantEntries,
        lease: EntryLease,
        places: PodPlaces,
        claims: ClaimTable,
        held_room: HeldRoom,
        isolation: Isolation | None = None,
    ) -> None:
        """``isolation`` is None where no criticality needs a RuntimeClass."""
        self._cache = cache
        self._isolation = isolation
        self._networks = networks
        self._tenants = tenants
        self._lease = lease
        self._places = places
        self._workloads = workloads
        self._bindings = bindings
        self._reservations = reservations
        self._claims = claims
        self._held_room = held_room

    def bind(self, args: BindingArgs) -> BindResult:
        """Binds the pod, or returns why not."""
        try:
            result = self._bind(args)
        except UnavailableError as error:
            result = fault(args, error)
        if result.outcome is Outcome.BOUND:
            self._cache.assume(args.uid, args.node)
            self._places.assume(args.uid, f"{args.namespace}/{args.name}", args.node)
            self._workloads.remove(args.uid)
        else:
            if result.outcome is Outcome.REFUSED:
                self._claims.release(args.uid)
            _log.info("bind refused", extra=args.facts | {"cause": result.error})
        return result

    def _bind(self, args: BindingArgs) -> BindResult:
        pod = self._bindings.find(args)
        end = find_end(args, pod)
        if end is not None or pod is None:
            return end or refusal(Reason.POD_UNKNOWN)
        workload = pod.contract.workload
        if workload is None:
            return BindResult(
                outcome=Outcome.REFUSED, reason=Reason.POD_INVALID, error=pod.contract.fault
            )
        snapshot = self._cache.snapshot()
        refused = self._refusal(args, snapshot, pod, workload)
        if refused is not None:
            return refusal(refused)
        holds = self._lease.begin()
        with ExitStack() as undo:
            annotations = self._reserve(args, snapshot, pod, workload, undo)
            if isinstance(annotations, BindResult):
                return annotations
            try:
                result = self._bindings.create(args, pod, annotations, holds=holds)
            except RefusedError:
                raise
            except UnavailableError:
                undo.pop_all()
                raise
            if result.outcome is Outcome.BOUND:
                undo.pop_all()
        if result.outcome is Outcome.BOUND and annotations:
            granted = {_LOGGED[key]: text for key, text in annotations.items()}
            _log.info("pod bound", extra=args.facts | granted)
        return result

    def _refusal(
        self, args: BindingArgs, snapshot: Snapshot, pod: ObservedPod, workload: Workload
    ) -> Reason | None:
        """Why the node may not have the pod any more, before anything is reserved.

        Its RuntimeClass cannot change, but since filter its criticality and the node's runtimes
        can.
        """
        unfit = split_by_assurance(snapshot, [args.node], workload.criticality).refused
        if unfit:
            return unfit[args.node]
        if self._isolation is not None:
            exposed = self._isolation.refusal(args.node, pod.runtime_class, workload.criticality)
            if exposed is not None:
                return exposed
        if self._claims.by_node:
            return self._held_room.admit_bind(snapshot, args.node, args.uid, pod.contract)
        return None

    def _reserve(
        self,
        args: BindingArgs,
        snapshot: Snapshot,
        pod: ObservedPod,
        workload: Workload,
        undo: ExitStack,
    ) -> dict[str, str] | BindResult:
        """Reserves all that the pod needs; returns what it is granted, as annotations."""
        view = snapshot.nodes.get(args.node)
        annotations: dict[str, str] = {}
        refused = self._tenants.reserve(args, workload, undo)
        if refused is not None:
            return refusal(refused)
        if workload.is_real_time:
            generation = (
                self._held_room.decided_by(view, args.uid, pod.contract)
                if self._claims.by_node
                else None
            )
            allocation = self._reservations.reserve(
                args, view, pod, workload, undo, generation=generation
            )
            if isinstance(allocation, BindResult):
                return allocation
            annotations[ALLOCATION_KEY] = allocation
        if pod.contract.requirements:
            grants = self._networks.reserve(args, view, pod, undo)
            if isinstance(grants, BindResult):
                return grants
            annotations[NETWORK_GRANT_KEY] = grants
        return annotations


def format_binding_result(error: str = "") -> bytes:
    """Writes ``ExtenderBindingResult``; an empty error means that the pod is bound."""
    return encode({"Error": error}).encode()
