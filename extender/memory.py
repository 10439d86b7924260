"""Admission results, remembered: only nodes whose state has changed are judged again.

An exact admission costs milliseconds, a call has hundreds of nodes, and kube-scheduler asks again
and again. A result holds for (the node's published state, the workload): not for the pod, unless
the state shows reservations of that very pod. A node is asked where its test cannot be run here,
and where it could not publish all of its reservations; its answer is remembered in the same way.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from extender.contracts import Contract, Signature
from extender.filter import Test, Verdict, judge_exactly, judge_roughly, take_answer
from extender.inquiry import Answers, Collect, Late
from extender.views import Snapshot
from k40s.annotations import UID_LENGTH, CpuState
from k40s.cpu.model import CpuNode, PodDemand
from k40s.cpu.workload import Workload, resolve
from k40s.node_api import AdmissionAnswer
from k40s.reasons import Reason

FindTest = Callable[[str], Test | None]
"""The schedulability test of that name, where this process can run it."""
Ask = Callable[[Mapping[str, CpuState], Late], Collect]
Exact = Callable[[Test, CpuNode, PodDemand], Verdict]
Rough = Callable[[CpuNode, PodDemand, Mapping[int, Fraction]], Verdict]
Demand = PodDemand | Reason

_ANYONE = ""
_UNANSWERED = Verdict(reason=Reason.CPU_NO_ANSWER, exact=False)


@dataclass(slots=True)
class _Results:
    """What is known of one workload: by node, the state judged and the verdict."""

    by_node: dict[str, tuple[CpuState, Verdict]] = field(default_factory=dict)
    demands: dict[tuple[str, Fraction], Demand] = field(default_factory=dict)


@dataclass(slots=True)
class _Case:
    """A node that is not decided yet: for whom, its state, and what the pod demands of it."""

    name: str
    state: CpuState
    results: _Results
    demand: PodDemand


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Verdicts by name, and how they came about."""

    verdicts: Mapping[str, Verdict]
    exact: int = 0
    rough: int = 0
    remembered: int = 0
    asked: int = 0
    unanswered: int = 0


class AdmissionMemory:
    """Judges nodes for workloads. Any thread may call; two may do the same work, harmlessly."""

    def __init__(
        self,
        *,
        tests: FindTest,
        workloads: int = 128,
        exact: Exact = judge_exactly,
        rough: Rough = judge_roughly,
    ) -> None:
        self._tests = tests
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
        ask: Ask,
    ) -> Judgement:
        """Judge the named nodes, all of which the snapshot knows.

        Once ``late()`` is true, nodes that need an exact admission are judged roughly instead,
        and the result is not remembered. ``ask`` asks nodes, and waits no longer than that.
        """
        known = self._of(contract.signature, _ANYONE)
        published = uid[:UID_LENGTH]
        verdicts: dict[str, Verdict] = {}
        undecided: list[_Case] = []
        for name in names:
            view = snapshot.nodes[name]
            if view.cpu is None:
                verdicts[name] = Verdict(reason=view.cpu_refusal)
                continue
            own = published if published in view.holders else _ANYONE
            result = known.by_node.get(name)
            if result is not None and result[0] is view.cpu and own is _ANYONE:
                verdicts[name] = result[1]
                continue
            results = known if own is _ANYONE else self._of(contract.signature, own)
            case = _open_case(name, view.cpu, results, workload, own)
            if isinstance(case, Verdict):
                verdicts[name] = case
            else:
                undecided.append(case)
        if not undecided:
            return Judgement(verdicts=verdicts, remembered=len(verdicts))
        return self._decide(undecided, verdicts, late=late, ask=ask)

    def contradict(self, node: str, state: CpuState, contract: Contract, reason: Reason) -> None:
        """The node's daemon refused what we admitted: believe it until its state changes."""
        results = self._of(contract.signature, _ANYONE)
        results.by_node[node] = (state, Verdict(reason=reason))

    def _decide(
        self,
        cases: Sequence[_Case],
        verdicts: dict[str, Verdict],
        *,
        late: Callable[[], bool],
        ask: Ask,
    ) -> Judgement:
        """Ask whom we must, and judge the others while they think."""
        remembered = len(verdicts)
        known = [(case, self._tests(case.state.test)) for case in cases]
        theirs = [(case, test) for case, test in known if test is None or not case.state.complete]
        collect = _ask([case for case, _ in theirs], ask) if theirs else dict
        for case, test in known:
            if test is not None and case.state.complete:
                verdicts[case.name] = (
                    self._judge_roughly(case)
                    if late()
                    else _keep(case, self._exact(test, case.state.node, case.demand))
                )
        answers: Answers = collect()
        for case, test in theirs:
            answer = answers.get(case.name)
            if answer is not None:
                verdicts[case.name] = _keep(case, take_answer(case.state.node, answer))
            elif test is not None:
                verdicts[case.name] = self._judge_roughly(case)
            else:
                verdicts[case.name] = _UNANSWERED
        made = [verdicts[case.name] for case in cases]
        exact, unanswered = sum(verdict.exact for verdict in made), made.count(_UNANSWERED)
        return Judgement(
            verdicts=verdicts,
            exact=exact - len(answers),
            rough=len(made) - exact - unanswered,
            remembered=remembered,
            asked=len(answers),
            unanswered=unanswered,
        )

    def _judge_roughly(self, case: _Case) -> Verdict:
        return self._rough(case.state.node, case.demand, case.state.utilization)

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


def _open_case(
    name: str, state: CpuState, results: _Results, workload: Workload, own: str
) -> _Case | Verdict:
    """The verdict, where it is remembered or needs no test, else what a test needs."""
    result = results.by_node.get(name)
    if result is not None and result[0] is state:
        return result[1]
    demand = _demand(results, workload, state.node, own)
    if isinstance(demand, Reason):
        return Verdict(reason=demand)
    return _Case(name, state, results, demand)


def _ask(cases: Sequence[_Case], ask: Ask) -> Collect:
    """Ask about these, and keep also what comes after the deadline."""
    by_name = {case.name: case for case in cases}

    def late(name: str, answer: AdmissionAnswer) -> None:
        _keep(by_name[name], take_answer(by_name[name].state.node, answer))

    return ask({name: case.state for name, case in by_name.items()}, late)


def _keep(case: _Case, verdict: Verdict) -> Verdict:
    if verdict.reason is not Reason.CPU_TEST_FAILED:  # it may succeed the next time
        case.results.by_node[case.name] = (case.state, verdict)
    return verdict


def _demand(results: _Results, workload: Workload, node: CpuNode, own: str) -> Demand:
    key = (node.platform, node.platform_factor)
    demand = results.demands.get(key)
    if demand is None:
        demand = results.demands[key] = resolve(
            workload, pod_uid=own, platform=node.platform, factor=node.platform_factor
        )
    return demand
