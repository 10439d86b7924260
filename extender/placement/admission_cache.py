"""Admission cache: verdicts by node state and workload; only changed nodes are tested again.

An exact admission test costs milliseconds, a call has hundreds of nodes, and kube-scheduler retries
often. A verdict holds for (the node's published state, the workload), whatever pod has it, except
for a pod that may hold a reservation in that state: it is tested for itself, and verdicts of other
pods do not refuse it, because its own need is already counted as taken. A node is queried if its
test is not installed here or if it could not publish all reservations; its answer is cached too.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from extender.cache.snapshot import NodeView, Snapshot
from extender.cache.workloads import Contract, Signature
from extender.placement.candidates import Verdict, check_bandwidth, read_answer, run_test
from extender.placement.exchanges import ExchangeTable
from extender.placement.node_queries import Answers, CollectAnswers, TakeLateAnswer
from k40s.annotations import UID_LENGTH, CpuState
from k40s.cpu.model import CpuNode, PodDemand
from k40s.cpu.outcome import Admit
from k40s.cpu.workload import Workload, resolve
from k40s.node_api.messages import AdmissionAnswer
from k40s.reasons import Reason

FindTest = Callable[[str], Admit | None]
"""The admission test of that name, if this process can run it."""
QueryNodes = Callable[[Mapping[str, CpuState], TakeLateAnswer], CollectAnswers]
"""Starts queries to nodes, by name and state."""
IsLate = Callable[[], bool]
"""Whether the call's time is used up."""
RunTest = Callable[[Admit, CpuNode, PodDemand], Verdict]
CheckBandwidth = Callable[[CpuNode, PodDemand, Mapping[int, Fraction]], Verdict]
Demand = PodDemand | Reason

_ANY_POD = ""


@dataclass(slots=True)
class _Results:
    """Verdicts for one workload: by node, the state tested and the verdict."""

    by_node: dict[str, tuple[CpuState, Verdict]] = field(default_factory=dict)
    demands: dict[tuple[str, Fraction], Demand] = field(default_factory=dict)

    def evict(self, snapshot: Snapshot) -> None:
        """Evicts nodes that no longer exist, once there are many of them."""
        if len(self.by_node) > 2 * len(snapshot.nodes):
            for name in [name for name in list(self.by_node) if name not in snapshot.nodes]:
                self.by_node.pop(name, None)


@dataclass(slots=True)
class _Untested:
    """A node without a cached verdict: its state, and the pod's demand on it."""

    name: str
    state: CpuState
    results: _Results
    demand: PodDemand
    holds: bool
    """Whether the state says that the pod holds a reservation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """Verdicts by node, and how many came from where."""

    by_node: Mapping[str, Verdict]
    exact: int = 0
    rough: int = 0
    cached: int = 0
    asked: int = 0
    unanswered: int = 0


class AdmissionCache:
    """Cached admission verdicts. Any thread may call; two may compute the same one, harmlessly."""

    def __init__(
        self,
        *,
        tests: FindTest,
        workloads: int = 128,
        exact: RunTest = run_test,
        rough: CheckBandwidth = check_bandwidth,
    ) -> None:
        self._tests = tests
        self._workloads = workloads
        self._exact = exact
        self._rough = rough
        self._lock = threading.Lock()
        self._results: OrderedDict[tuple[Signature, str], _Results] = OrderedDict()
        self._exchanges = ExchangeTable(workloads=workloads)

    def verdicts(
        self,
        snapshot: Snapshot,
        names: Sequence[str],
        contract: Contract,
        workload: Workload,
        uid: str,
        *,
        late: IsLate,
        ask: QueryNodes,
    ) -> Verdicts:
        """The verdicts of the named nodes, all of which are in the snapshot.

        Once ``late()`` is true, the remaining nodes are checked by bandwidth alone, and these
        verdicts are not cached. ``ask`` queries nodes, and waits no longer than that.
        """
        known = self._of(contract.signature, _ANY_POD)
        known.evict(snapshot)
        published = uid[:UID_LENGTH]
        verdicts: dict[str, Verdict] = {}
        open_nodes: list[_Untested] = []
        for name in names:
            view = snapshot.nodes[name]
            if view.cpu is None:
                verdicts[name] = Verdict(reason=view.cpu_refusal)
                continue
            own = published if may_hold(view, published) else _ANY_POD
            result = known.by_node.get(name)
            if result is not None and result[0] is view.cpu and own is _ANY_POD:
                verdicts[name] = result[1]
                continue
            results = known if own is _ANY_POD else self._of(contract.signature, own)
            holds = view.holders is not None and own is not _ANY_POD
            case = _prepare(name, view.cpu, results, workload, own, holds=holds)
            if isinstance(case, Verdict):
                verdicts[name] = case
            else:
                open_nodes.append(case)
        if not open_nodes:
            return Verdicts(by_node=verdicts, cached=len(verdicts))
        return self._decide(open_nodes, verdicts, late=late, ask=ask)

    def knows(self, signature: Signature) -> bool:
        """Whether there are verdicts for pods of that workload. They stay as old as they are."""
        with self._lock:
            return (signature, _ANY_POD) in self._results

    def invalidate(self, node: str, state: CpuState, contract: Contract, reason: Reason) -> None:
        """Replaces a verdict by the daemon's refusal, until the node's state changes."""
        results = self._of(contract.signature, _ANY_POD)
        results.by_node[node] = (state, Verdict(reason=reason))
        self._exchanges.of(contract.signature)[node] = (state, False)

    def exchanges_of(self, signature: Signature) -> ExchangeTable:  # noqa: ARG002  # see GuestAdmissions
        """What is known of exchanges for pods of that workload."""
        return self._exchanges

    def _decide(
        self,
        cases: Sequence[_Untested],
        verdicts: dict[str, Verdict],
        *,
        late: IsLate,
        ask: QueryNodes,
    ) -> Verdicts:
        """Queries the nodes that must be, and tests the others meanwhile."""
        cached = len(verdicts)
        known = [(case, self._tests(case.state.test)) for case in cases]
        queried = [(case, test) for case, test in known if test is None or not case.state.complete]
        collect = _query([case for case, _ in queried], ask) if queried else dict
        for case, test in known:
            if test is not None and case.state.complete:
                verdicts[case.name] = (
                    self._check_bandwidth(case)
                    if late()
                    else _keep(case, self._exact(test, case.state.node, case.demand))
                )
        answers: Answers = collect()
        asked = unanswered = 0
        for case, test in queried:
            answer = answers.get(case.name, Reason.CPU_NO_ANSWER)
            if not isinstance(answer, Reason):
                asked += 1
                verdicts[case.name] = _keep(case, read_answer(case.state.node, answer))
            elif test is not None or case.holds:
                verdicts[case.name] = self._check_bandwidth(case)
            else:
                unanswered += 1
                verdicts[case.name] = Verdict(reason=answer, exact=False)
        made = [verdicts[case.name] for case in cases]
        exact = sum(verdict.exact for verdict in made)
        return Verdicts(
            by_node=verdicts,
            exact=exact - asked,
            rough=len(made) - exact - unanswered,
            cached=cached,
            asked=asked,
            unanswered=unanswered,
        )

    def _check_bandwidth(self, case: _Untested) -> Verdict:
        verdict = self._rough(case.state.node, case.demand, case.state.utilization)
        if case.holds:  # the node has admitted it: its need is already counted as taken
            return replace(verdict, reason=None)
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


class GuestAdmissions:
    """The verdicts that a host's cache has, and a small cache beside it for other workloads.

    Questions of people are about any workload; those of the scheduler's pods must not be evicted
    by them. Any thread may call.
    """

    def __init__(self, host: AdmissionCache, own: AdmissionCache) -> None:
        self._host = host
        self._own = own

    def verdicts(
        self,
        snapshot: Snapshot,
        names: Sequence[str],
        contract: Contract,
        workload: Workload,
        uid: str,
        *,
        late: IsLate,
        ask: QueryNodes,
    ) -> Verdicts:
        """See ``AdmissionCache``."""
        cache = self._of(contract.signature)
        return cache.verdicts(snapshot, names, contract, workload, uid, late=late, ask=ask)

    def exchanges_of(self, signature: Signature) -> ExchangeTable:
        """See ``AdmissionCache``."""
        return self._of(signature).exchanges_of(signature)

    def _of(self, signature: Signature) -> AdmissionCache:
        return self._host if self._host.knows(signature) else self._own


def may_hold(view: NodeView, published_uid: str) -> bool:
    """Whether a pod may hold a reservation on a node, so that it is tested for itself."""
    return view.holders is None or published_uid in view.holders


def _prepare(
    name: str, state: CpuState, results: _Results, workload: Workload, own: str, *, holds: bool
) -> _Untested | Verdict:
    """The verdict, if it is cached or needs no test, else the input of a test."""
    result = results.by_node.get(name)
    if result is not None and result[0] is state:
        return result[1]
    demand = _demand(results, workload, state.node, own)
    if isinstance(demand, Reason):
        return Verdict(reason=demand)
    return _Untested(name, state, results, demand, holds)


def _query(cases: Sequence[_Untested], ask: QueryNodes) -> CollectAnswers:
    """Queries these nodes, and caches late answers too."""
    by_name = {case.name: case for case in cases}

    def late(name: str, answer: AdmissionAnswer) -> None:
        _keep(by_name[name], read_answer(by_name[name].state.node, answer))

    return ask({name: case.state for name, case in by_name.items()}, late)


def _keep(case: _Untested, verdict: Verdict) -> Verdict:
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
