"""The verbs: a request's body -> the reply's body.

Filter and prioritize stay inside the process but for nodes that only the node itself can judge.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache

from extender.bind import Bind, describe
from extender.contracts import Contract, Contracts
from extender.filter import Split, refuse_all, split_by_assurance, split_by_cpu
from extender.heartbeats import Clock
from extender.inquiry import Inquiry
from extender.memory import AdmissionMemory, Judgement
from extender.metrics import ExtenderMetrics
from extender.nodes import NodeCache
from extender.score import score_nodes
from extender.settling import Settling
from extender.views import Snapshot
from extender.wire import (
    ExtenderArgs,
    PodFacts,
    PriorityWriter,
    format_binding_result,
    format_filter_fault,
    format_filter_result,
    parse_binding_args,
    parse_extender_args,
)
from k40s.cpu.workload import Workload
from k40s.errors import InvalidInputError
from k40s.node_api import PodRef, ReservationRequest
from k40s.reasons import Reason
from k40s.units import Nanoseconds

_log = logging.getLogger(__name__)

INTERNAL = "internal error of the k40s extender; its log says more"

_PASSING = (Reason.CPU_NO_ANSWER, Reason.CPU_TEST_FAILED)
"""Refusals whose end is no event: the scheduler has to ask again by itself."""
_TEXTS = {reason: describe(reason) for reason in Reason}


class Verbs:
    """Filter, prioritize and bind. Any thread may call; each call sees one snapshot."""

    def __init__(
        self,
        *,
        cache: NodeCache,
        contracts: Contracts,
        memory: AdmissionMemory,
        bind: Bind,
        metrics: ExtenderMetrics,
        settling: Settling,
        inquiry: Inquiry,
        clock: Clock,
        patience: Nanoseconds,
    ) -> None:
        self._cache = cache
        self._contracts = contracts
        self._memory = memory
        self._bind = bind
        self._metrics = metrics
        self._settling = settling
        self._inquiry = inquiry
        self._clock = clock
        self._patience = patience
        self._priorities = PriorityWriter()
        self._parse = lru_cache(maxsize=1)(parse_extender_args)

    def filter(self, body: bytes) -> bytes:
        """Answer ``ExtenderFilterResult``, with ``Error`` for a body that is not understood."""
        try:
            args = self._parse(body)
        except InvalidInputError as error:
            self._metrics.faults["filter"].inc()
            return format_filter_fault(str(error))
        pod = args.pod
        contract = self._read(pod)
        new = self._contracts.remember(pod.uid, contract)
        if contract.workload is None:
            return self._refuse_invalid(args, contract, new=new)
        split = self._split(args, contract, contract.workload, self._cache.snapshot())
        for reason, count in Counter(split.refused.values()).items():
            self._metrics.refusals[reason].inc(count)
        if not split.fit and new:
            _log.info("pod refused everywhere", extra=_facts(pod) | _by_reason(split.refused))
        passing = [reason for reason in _PASSING if reason in split.refused.values()]
        if not split.fit and passing:
            self._metrics.faults["filter"].inc()
            return format_filter_fault(_TEXTS[passing[0]])
        return format_filter_result(args, split.fit, split.refused, _TEXTS)

    def prioritize(self, body: bytes) -> bytes:
        """Answer ``HostPriorityList``; it has no place for an error: ``InvalidInputError``."""
        args = self._parse(body)  # often the bytes that filter was just asked with
        contract = self._read(args.pod)
        workload = contract.workload
        if workload is None:
            return self._priorities.format(args.names, [0] * len(args.names))
        snapshot = self._cache.snapshot()
        remaining: Mapping[str, float] | None = None
        if workload.is_real_time:
            split = split_by_assurance(snapshot, args.names, workload.criticality)
            judged = self._judge(snapshot, split, contract, workload, args.pod)
            remaining = {
                name: verdict.remaining
                for name, verdict in judged.verdicts.items()
                if verdict.reason is None
            }
        scores = score_nodes(
            snapshot, args.names, criticality=workload.criticality, remaining=remaining
        )
        return self._priorities.format(args.names, scores)

    def bind(self, body: bytes) -> bytes:
        """Answer ``ExtenderBindingResult``."""
        try:
            args = parse_binding_args(body)
        except InvalidInputError as error:
            self._metrics.faults["bind"].inc()
            return format_binding_result(str(error))
        result = self._bind(args)
        self._metrics.binds[result.outcome].inc()
        return format_binding_result(result.error)

    def _read(self, pod: PodFacts) -> Contract:
        return self._contracts.read(
            labels=pod.labels, annotations=pod.annotations, containers=pod.containers
        )

    def _refuse_invalid(self, args: ExtenderArgs, contract: Contract, *, new: bool) -> bytes:
        if new:
            _log.info("pod invalid", extra=_facts(args.pod) | {"cause": contract.fault})
        self._metrics.refusals[Reason.POD_INVALID].inc(len(args.names))
        refused = refuse_all(args.names, Reason.POD_INVALID).refused
        return format_filter_result(args, (), refused, {Reason.POD_INVALID: contract.fault})

    def _split(
        self, args: ExtenderArgs, contract: Contract, workload: Workload, snapshot: Snapshot
    ) -> Split:
        split = split_by_assurance(snapshot, args.names, workload.criticality)
        if workload.is_real_time:
            judged = self._judge(snapshot, split, contract, workload, args.pod)
            split = split_by_cpu(split, judged.verdicts)
        if split.fit:
            return split
        newer = self._settling.newer(args.pod.uid, snapshot)
        if newer is not None:
            return self._split(args, contract, workload, newer)
        self._settling.refused(args.pod.uid, snapshot)
        return split

    def _judge(
        self,
        snapshot: Snapshot,
        split: Split,
        contract: Contract,
        workload: Workload,
        pod: PodFacts,
    ) -> Judgement:
        deadline = self._clock() + self._patience
        request = ReservationRequest(
            pod=PodRef(uid=pod.uid, namespace=pod.namespace, name=pod.name), workload=workload
        )
        judged = self._memory.judge(
            snapshot,
            split.fit,
            contract,
            workload,
            pod.uid,
            late=lambda: self._clock() >= deadline,
            ask=lambda states, late: self._inquiry.ask(
                {name: state.endpoint for name, state in states.items()}, request, deadline, late
            ),
        )
        self._metrics.judged["asked"].inc(judged.asked)
        self._metrics.judged["unanswered"].inc(judged.unanswered)
        self._metrics.judged["exact"].inc(judged.exact)
        self._metrics.judged["rough"].inc(judged.rough)
        self._metrics.judged["remembered"].inc(judged.remembered)
        return judged


Verb = Callable[[bytes], bytes]


def _facts(pod: PodFacts) -> dict[str, object]:
    return {"namespace": pod.namespace, "pod": pod.name, "uid": pod.uid}


def _by_reason(refused: Mapping[str, Reason]) -> dict[str, object]:
    return {"reasons": {r.value: count for r, count in Counter(refused.values()).items()}}
