"""Filter: which candidate nodes may take a pod, and why the others may not.

It makes no request except to nodes that only their own daemon can test.
"""

import logging
from collections import Counter
from collections.abc import Mapping

from extender.cache.catch_up import CatchUp
from extender.cache.nodes import NodeCache
from extender.cache.refused_pods import RefusedPods
from extender.cache.snapshot import Snapshot
from extender.cache.workloads import Contract, ObservedPod, WorkloadCache
from extender.metrics import ExtenderMetrics
from extender.placement.candidates import Split, refuse_all
from extender.placement.pod_admission import PodAdmission
from extender.placement.refusal_texts import TEXTS
from extender.preemption.groups import GroupMembers
from extender.protocol import ExtenderArgs, ParseArgs, PodFacts
from extender.verbs.filter_result import (
    format_filter_fault,
    format_filter_result,
    format_split,
)
from k40s.cpu.workload import Workload
from k40s.errors import InvalidInputError
from k40s.reasons import TRANSIENT, Reason

_log = logging.getLogger(__name__)


class Filter:
    """The verb ``filter``. Any thread may call; each call sees one snapshot."""

    name = "filter"

    def __init__(
        self,
        *,
        parse: ParseArgs,
        cache: NodeCache,
        workloads: WorkloadCache,
        admission: PodAdmission,
        catch_up: CatchUp,
        refused: RefusedPods,
        groups: GroupMembers,
        metrics: ExtenderMetrics,
    ) -> None:
        """``refused`` keeps the pods that no node fits, for a preemption plan."""
        self._parse = parse
        self._cache = cache
        self._workloads = workloads
        self._admission = admission
        self._catch_up = catch_up
        self._refused = refused
        self._groups = groups
        self._metrics = metrics

    def __call__(self, body: bytes) -> bytes:
        """Answers ``ExtenderFilterResult``, with ``Error`` for an invalid body."""
        try:
            args = self._parse(body)
        except InvalidInputError as error:
            self._metrics.faults[self.name].inc()
            return format_filter_fault(str(error))
        pod = args.pod
        contract = self._workloads.read_pod(pod)
        new = self._workloads.put(
            ObservedPod(
                uid=pod.uid,
                namespace=pod.namespace,
                name=pod.name,
                resource_version=pod.resource_version,
                contract=contract,
                runtime_class=pod.runtime_class,
            )
        )
        if contract.workload is None:
            return self._refuse_invalid(args, contract, new=new)
        snapshot = self._cache.snapshot()
        split = self._split(args, contract, contract.workload, snapshot)
        if pod.group:
            split = self._groups.narrow(snapshot, split, pod, contract, contract.workload)
        for reason, count in Counter(split.refused.values()).items():
            self._metrics.refusals[reason].inc(count)
        if split.exchanging:
            _log.info("pod fits by an exchange", extra=_facts(pod) | {"nodes": list(split.fit)})
        if not split.fit and new:
            _log.info("pod refused by every node", extra=_facts(pod) | _by_reason(split.refused))
        transient = [reason for reason in TRANSIENT if reason in split.refused.values()]
        if not split.fit and transient:
            self._metrics.faults[self.name].inc()
            return format_filter_fault(TEXTS[transient[0]])
        return format_split(args, split, snapshot)

    def fault(self, text: str) -> bytes:
        """A reply with the fault in its field ``Error``."""
        return format_filter_fault(text)

    def _refuse_invalid(self, args: ExtenderArgs, contract: Contract, *, new: bool) -> bytes:
        if new:
            _log.info("invalid pod", extra=_facts(args.pod) | {"cause": contract.fault})
        self._metrics.refusals[Reason.POD_INVALID].inc(len(args.names))
        refused = refuse_all(args.names, Reason.POD_INVALID).refused
        return format_filter_result(args, (), refused, {Reason.POD_INVALID: contract.fault})

    def _split(
        self, args: ExtenderArgs, contract: Contract, workload: Workload, snapshot: Snapshot
    ) -> Split:
        split = self._admission.split(snapshot, args.names, args.pod, contract, workload)
        if split.fit:
            if args.pod.uid in self._refused.by_uid:  # its nodes have changed
                self._refused.put(args.pod, contract, args.names)
            return split
        beside = self._admission.looks_beside(contract)
        newer = self._catch_up.newer(args.pod.uid, snapshot, beside=beside)
        if newer is not None:
            return self._split(args, contract, workload, newer)
        self._catch_up.refused(args.pod.uid, snapshot)
        self._refused.put(args.pod, contract, args.names)
        return split


def _facts(pod: PodFacts) -> dict[str, object]:
    return {"namespace": pod.namespace, "pod": pod.name, "uid": pod.uid}


def _by_reason(refused: Mapping[str, Reason]) -> dict[str, object]:
    return {"reasons": {r.value: count for r, count in Counter(refused.values()).items()}}
