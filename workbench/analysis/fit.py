"""Whether pods would fit on a node, by the state that it publishes.

Three answers: yes; no, with the reason; or that only the node itself can say, because it runs a
test that is not installed here, or publishes utilizations without its reservations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from k40s.cpu.admission.necessary_condition import may_fit
from k40s.cpu.admission.resynthesis import find_exchange
from k40s.cpu.outcome import Rejection
from k40s.reasons import Reason
from workbench.analysis.admission import (
    BUILT_IN,
    AdmissionReport,
    AdmissionTest,
    admit_in_order,
    demand_of,
)
from workbench.inputs.node_state import NodeState
from workbench.inputs.pods import Pod

FindTest = Callable[[str], AdmissionTest | None]
"""The test of that name, or None where it is not installed here."""


_EXCHANGE = (
    "it has no room as it is, and can exchange servers of its pods for others that leave it room, "
    "which takes up to a minute; the scheduler sends the pod there if no other node takes it"
)


class Answer(StrEnum):
    """Whether the pods would fit."""

    YES = "yes"
    NO = "no"
    NODE_DECIDES = "only the node can say"


@dataclass(frozen=True, slots=True, kw_only=True)
class FitReport:
    """``report`` is None where admission could not be run; ``refusals`` is empty unless it's no."""

    node: NodeState
    answer: Answer
    because: str = ""
    refusals: tuple[tuple[Pod, Rejection], ...] = ()
    report: AdmissionReport | None = None


def find_fit(node: NodeState, pods: Sequence[Pod], find_test: FindTest) -> FitReport:
    """Whether the pods, in this order, fit by a node's state."""
    test = find_test(node.state.test)
    demanding = any(pod.workload.is_real_time for pod in pods)
    if (test is not None and node.state.complete) or not demanding:
        report = admit_in_order(
            node.state.node, pods, test=test or BUILT_IN, refuse=lambda pod: _unfit(node, pod)
        )
        refusals = [(step.pod, step.rejection) for step in report.steps if step.rejection]
        if refusals and len(pods) == 1 and _exchanges(node, pods[0]):
            return FitReport(node=node, answer=Answer.NODE_DECIDES, because=_EXCHANGE)
        return FitReport(
            node=node,
            answer=Answer.NO if refusals else Answer.YES,
            refusals=tuple(refusals),
            report=report,
        )
    known = test is not None
    impossible = [
        (pod, refused) for pod in pods if (refused := _impossible(node, pod, known=known))
    ]
    if impossible:
        return FitReport(node=node, answer=Answer.NO, refusals=tuple(impossible))
    why = (
        f"it runs the test {node.state.test}, which is not installed here"
        if test is None
        else "it publishes utilizations alone, because its reservations do not fit its annotation"
    )
    return FitReport(node=node, answer=Answer.NODE_DECIDES, because=why)


def _exchanges(node: NodeState, pod: Pod) -> bool:
    """Whether the node exchanges servers for a pod that it refuses as it is."""
    if _unfit(node, pod) is not None or not node.state.tells_exchanges:
        return False
    demand = demand_of(node.state.node, pod)
    return not isinstance(demand, Rejection) and bool(find_exchange(node.state.node, demand))


def _impossible(node: NodeState, pod: Pod, *, known: bool) -> Rejection | None:
    """A reason against a pod without running admission; bandwidth counts if the test is known."""
    unfit = _unfit(node, pod)
    if unfit is not None or not pod.workload.is_real_time:
        return unfit
    demand = demand_of(node.state.node, pod)
    if isinstance(demand, Rejection):
        return demand
    if not known:
        return None
    reason = may_fit(core_utilizations=node.state.utilization, node=node.state.node, demand=demand)
    return None if reason is None else Rejection(reason=reason)


def _unfit(node: NodeState, pod: Pod) -> Rejection | None:
    """Assurance, where the node's is known, and whether it takes real-time tasks at all."""
    if not node.assured:
        return Rejection(reason=Reason.ASSURANCE_UNKNOWN)
    enforces = node.real_time and node.state.mechanism != "none"
    if pod.workload.is_real_time and not enforces:
        return Rejection(reason=Reason.CPU_NO_REAL_TIME)
    if node.fit_for is not None and node.fit_for < pod.workload.criticality:
        detail = f"it is fit for {node.fit_for.name}, the pod is {pod.workload.criticality.name}"
        return Rejection(reason=Reason.ASSURANCE_TOO_LOW, detail=detail)
    return None
