"""The API server's side of a bind: the pod's newest version, and a Binding conditional on it."""

from collections.abc import Callable

from extender.binding.outcome import BOUND, BindResult, Outcome, fault, find_end, refusal
from extender.cache.pods import PodTable, observe_pod
from extender.cache.workloads import ObservedPod, WorkloadCache
from extender.ports import PodBindings
from extender.protocol import BindingArgs
from k40s.errors import UnavailableError
from k40s.kube.transport import ConflictError, NotFoundError, RefusedError
from k40s.reasons import Reason
from k40s.units import NS_PER_MS, Clock, Nanoseconds

_TRIES = 8
"""Bindings sent for one bind: each but the first because the pod's status has changed."""


class ConditionalBindings:
    """Finds pods, and binds them if they are unchanged. Any thread may call."""

    def __init__(
        self,
        *,
        watched: PodTable,
        workloads: WorkloadCache,
        api: PodBindings,
        clock: Clock,
        timeout: Nanoseconds,
    ) -> None:
        self._watched = watched
        self._workloads = workloads
        self._api = api
        self._clock = clock
        self._timeout = timeout

    def find(self, args: BindingArgs) -> ObservedPod | None:
        """The pod; None if it is gone, is ending, or another pod has its name.

        The API server is asked only if no version is known or the known ones differ. An outdated
        version does no harm: its Binding is refused. Raises ``UnavailableError``.
        """
        return self._known(args.uid) or self._look_up(args, Nanoseconds(self._timeout // 2))

    def create(
        self,
        args: BindingArgs,
        pod: ObservedPod,
        annotations: dict[str, str],
        *,
        holds: Callable[[], bool] | None = None,
    ) -> BindResult:
        """Binds the pod as long as its contract is the one that was found.

        ``holds``, if any, is whether what was reserved is still held; it is asked just before each
        request, because this process may have stood still for any time.
        Raises ``RefusedError`` if it is certainly not bound by this, and another
        ``UnavailableError`` if it may be.
        """
        deadline = self._clock() + self._timeout
        for _ in range(_TRIES):
            if holds is not None and not holds():
                return refusal(Reason.POD_BIND_EXPIRED, Outcome.FAULT)
            try:
                self._api.create_binding(
                    namespace=args.namespace,
                    name=args.name,
                    uid=args.uid,
                    resource_version=pod.resource_version,
                    node=args.node,
                    annotations=annotations,
                    timeout=self._left(deadline),
                )
            except NotFoundError:
                return refusal(Reason.POD_UNKNOWN)
            except ConflictError as conflict:
                found = self._after_conflict(args, pod, conflict, deadline)
                if isinstance(found, BindResult):
                    return found
                pod = found
            else:
                return BOUND
            if self._clock() >= deadline:
                break
        return refusal(Reason.POD_CHANGED)

    def _after_conflict(
        self, args: BindingArgs, pod: ObservedPod, conflict: ConflictError, deadline: int
    ) -> ObservedPod | BindResult:
        """The pod's newer version, if it may still be bound with the same contract."""
        try:
            now = self._look_up(args, self._left(deadline))
        except UnavailableError as error:
            return fault(args, error)
        end = find_end(args, now)
        if end is not None or now is None:
            return end or refusal(Reason.POD_UNKNOWN)
        if now.contract.signature != pod.contract.signature:
            return refusal(Reason.POD_CHANGED)
        if now.resource_version == pod.resource_version:
            return fault(args, RefusedError(str(conflict)))
        return now

    def _known(self, uid: str) -> ObservedPod | None:
        """The newest version that filter or the watch has seen, unless their contracts differ."""
        watched, filtered = self._watched.find(uid), self._workloads.get(uid)
        if watched is not None and watched.node:
            return watched
        known = [pod for pod in (watched, filtered) if pod is not None and pod.resource_version]
        if len({pod.contract.signature for pod in known}) > 1:
            return None
        return max(known, key=_age, default=None)

    def _look_up(self, args: BindingArgs, timeout: Nanoseconds) -> ObservedPod | None:
        pod = self._api.get_pod(args.namespace, args.name, timeout=timeout)
        if pod is None or pod.uid != args.uid or pod.ended or pod.deleting:
            return None
        return observe_pod(pod, self._workloads)

    def _left(self, deadline: int) -> Nanoseconds:
        return Nanoseconds(max(deadline - self._clock(), NS_PER_MS))


def _age(pod: ObservedPod) -> tuple[int, str]:
    """Orders versions as growing numbers; if they are not, that costs one more request."""
    return len(pod.resource_version), pod.resource_version
