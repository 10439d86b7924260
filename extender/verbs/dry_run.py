"""Dry run: what filter would answer for a pod, without a trace.

For the controller, which asks where a running pod could go before it moves it. The decision is
filter's own, on the same snapshot. Unlike filter it keeps no pod for bind, notes no refusal for the
retry of a pod that waits, waits for no informer, and counts only itself: neither its refusals nor
its verdicts mix with those of pods that are being scheduled. Only verdicts are cached, since they
are the same for everybody.
"""

from extender.cache.nodes import NodeCache
from extender.cache.workloads import WorkloadCache
from extender.placement.candidates import refuse_all
from extender.placement.pod_admission import PodAdmission
from extender.protocol import ParseArgs
from extender.verbs.filter_result import (
    format_filter_fault,
    format_filter_result,
    format_split,
)
from k40s.reasons import Reason


class DryRun:
    """The verb ``dry-run``. Any thread may call; each call sees one snapshot."""

    name = "dry-run"

    def __init__(
        self,
        *,
        parse: ParseArgs,
        cache: NodeCache,
        workloads: WorkloadCache,
        admission: PodAdmission,
    ) -> None:
        self._parse = parse
        self._cache = cache
        self._workloads = workloads
        self._admission = admission

    def __call__(self, body: bytes) -> bytes:
        """Answers ``ExtenderFilterResult``. Raises ``InvalidInputError`` for an invalid body."""
        args = self._parse(body)
        pod = args.pod
        contract = self._workloads.read_pod(pod)  # as of a new pod: its replacement will be one
        workload = contract.workload
        if workload is None:
            refused = refuse_all(args.names, Reason.POD_INVALID).refused
            return format_filter_result(args, (), refused, {Reason.POD_INVALID: contract.fault})
        snapshot = self._cache.snapshot()
        split = self._admission.split(snapshot, args.names, pod, contract, workload)
        return format_split(args, split, snapshot)

    def fault(self, text: str) -> bytes:
        """A reply with the fault in its field ``Error``."""
        return format_filter_fault(text)
