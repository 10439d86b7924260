"""Admission results, remembered: only nodes whose state has changed are judged again.

An exact admission costs milliseconds, a call has hundreds of nodes, and kube-scheduler asks again
and again. A result holds for (the node's published state, the workload): not for the pod, unless
the state shows reservations of that very pod.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from extender.contracts import Contract, Signature
from extender.filter import Verdict, judge_exactly, judge_roughly
from extender.views import Snapshot
from k40s.annotations import UID_LENGTH, CpuState
from k40s.cpu.model import CpuNode, PodDemand
from k40s.cpu.workload import Workload, resolve
from k40s.reasons import Reason

Exact = Callable[[CpuNode, PodDemand], Verdict]
Rough = Callable[[CpuNode, PodDemand, Mapping[int, Fraction]], Verdict]
Demand = PodDemand | Reason

_ANYONE = ""


@dataclass(slots=True)
class _Results:
    """What is known of one workload: by node, the state judged and the verdict."""

    by_node: dict[str, tuple[CpuState, Verdict]] = field(default_factory=dict)
    demands: dict[tuple[str, Fraction], Demand] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Verdicts by name, and how they came about."""

    verdicts: Mapping[str, Verdict]
    exact: int = 0
    rough: int = 0
    remembered: int = 0


class AdmissionMemory:
    """Judges nodes for workloads. Any thread may call; two may do the same work, harmlessly."""

    def __init__(
        self,
        *,
        workloads: int = 128,
        exact: Exact = judge_exactly,
        rough: Rough = judge_roughly,
    ) -> None:
        self._workloads = workloads
        self._exact = exact
        self._rough = rough
        self._lock = threading.Lock()
        self._results: OrderedDict[tuple[Signature, str], _Results] = OrderedDict()

    def judge(
        self,
        snapshot: Snapshot,
        names: Sequence[str],
        contract: Contract,
        workload: Workload,
        uid: str,
        *,
        late: Callable[[], bool],
    ) -> Judgement:
        """Judge the named nodes, all of which the snapshot knows.

        Once ``late()`` is true, nodes that need an exact admission are judged roughly instead,
        and the result is not remembered.
        """
        known = self._of(contract.signature, _ANYONE)
        published = uid[:UID_LENGTH]
        verdicts: dict[str, Verdict] = {}
        undecided: list[tuple[str, CpuState, str]] = []
        for name in names:
            view = snapshot.nodes[name]
            if view.cpu is None:
                verdicts[name] = Verdict(reason=view.cpu_refusal)
                continue
            own = published if published in view.holders else _ANYONE
            result = known.by_node.get(name)
            if result is not None and result[0] is view.cpu and own is _ANYONE:
                verdicts[name] = result[1]
            else:
                undecided.append((name, view.cpu, own))
        remembered = len(verdicts)
        counts = {True: 0, False: 0}
        for name, state, own in undecided:
            verdict = self._decide(name, state, contract, workload, own=own, late=late)
            verdicts[name] = verdict
            counts[verdict.exact] += 1
        return Judgement(
            verdicts=verdicts, exact=counts[True], rough=counts[False], remembered=remembered
        )

    def contradict(self, node: str, state: CpuState, contract: Contract, reason: Reason) -> None:
        """The node's daemon refused what we admitted: believe it until its state changes."""
        results = self._of(contract.signature, _ANYONE)
        results.by_node[node] = (state, Verdict(reason=reason))

    def _decide(
        self,
        name: str,
        state: CpuState,
        contract: Contract,
        workload: Workload,
        *,
        own: str,
        late: Callable[[], bool],
    ) -> Verdict:
        results = self._of(contract.signature, own)
        result = results.by_node.get(name)
        if result is not None and result[0] is state:
            return result[1]
        demand = _demand(results, workload, state.node, own)
        if isinstance(demand, Reason):
            verdict = Verdict(reason=demand)
        elif state.complete and not late():
            verdict = self._exact(state.node, demand)
        else:
            verdict = self._rough(state.node, demand, state.utilization)
        if verdict.exact or not state.complete:
            results.by_node[name] = (state, verdict)
        return verdict

    def _of(self, signature: Signature, own: str) -> _Results:
        key = (signature, own)
        with self._lock:
            results = self._results.get(key)
            if results is None:
                results = self._results[key] = _Results()
                if len(self._results) > self._workloads:
                    self._results.popitem(last=False)
            else:
                self._results.move_to_end(key)
            return results


def _demand(results: _Results, workload: Workload, node: CpuNode, own: str) -> Demand:
    key = (node.platform, node.platform_factor)
    demand = results.demands.get(key)
    if demand is None:
        demand = results.demands[key] = resolve(
            workload, pod_uid=own, platform=node.platform, factor=node.platform_factor
        )
    return demand
