"""Admission of pods to a node, one after the other, with the resulting bounds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from k40s.cpu.admission.admit import admit as built_in
from k40s.cpu.model import CpuNode, PodDemand, Reservation, Server
from k40s.cpu.outcome import ADMISSION_TEST, Admission, Admit, Rejection
from k40s.cpu.price import Price, compared_prices
from k40s.cpu.workload import resolve
from k40s.reasons import Reason
from workbench.analysis.bounds import ServerBound, bounds_of
from workbench.inputs.pods import Pod

Refuse = Callable[[Pod], Rejection | None]
"""A condition besides the test: None where the pod meets it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionTest:
    """An admission test and the name under which a node publishes it."""

    name: str
    admit: Admit


BUILT_IN = AdmissionTest(name=ADMISSION_TEST, admit=built_in)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """A server of an earlier pod whose budget grew for a newcomer."""

    pod: str
    container: str
    tasks: tuple[str, ...]
    core: int
    before: Server
    after: Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One pod's outcome. ``granted`` is as of its admission; servers may have grown since."""

    pod: Pod
    rejection: Rejection | None
    granted: tuple[Reservation, ...] = ()
    grown: tuple[Growth, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionReport:
    """``node`` holds what was admitted; ``bounds`` and ``prices`` are of all that it holds."""

    node: CpuNode
    steps: tuple[Step, ...]
    bounds: tuple[ServerBound, ...]
    test: str
    prices: tuple[Price, ...] = ()

    @property
    def schedulable(self) -> bool:
        """Whether every pod was admitted."""
        return all(step.rejection is None for step in self.steps)


def admit_in_order(
    node: CpuNode,
    pods: Sequence[Pod],
    *,
    test: AdmissionTest = BUILT_IN,
    refuse: Refuse = lambda _pod: None,
) -> AdmissionReport:
    """Admit each pod to what the ones before it left; a refused one changes nothing.

    A pod without real-time tasks takes no bandwidth.
    """
    steps: list[Step] = []
    for pod in pods:
        refused = refuse(pod)
        if refused is not None:
            steps.append(Step(pod=pod, rejection=refused))
            continue
        if not pod.workload.is_real_time:
            steps.append(Step(pod=pod, rejection=None))
            continue
        step, node = _admit(node, pod, test)
        steps.append(step)
    return AdmissionReport(
        node=node,
        steps=tuple(steps),
        bounds=bounds_of(node),
        test=test.name,
        prices=compared_prices(node),
    )


def demand_of(node: CpuNode, pod: Pod) -> PodDemand | Rejection:
    """The pod's demand on the node's platform, or why it cannot run there."""
    demand = resolve(
        pod.workload,
        pod_uid=pod.name,
        platform=node.platform,
        factor=node.platform_factor,
    )
    if not isinstance(demand, Reason):
        return demand
    platform = node.platform or "without a name"
    detail = (
        f"a table of WCETs lacks the node's platform, {platform}"
        if demand is Reason.CPU_NO_WCET
        else f"a WCET times the platform's factor, {node.platform_factor}, exceeds its deadline"
    )
    return Rejection(reason=demand, detail=detail)


def _admit(node: CpuNode, pod: Pod, test: AdmissionTest) -> tuple[Step, CpuNode]:
    demand = demand_of(node, pod)
    outcome = demand if isinstance(demand, Rejection) else test.admit(node, demand)
    if isinstance(outcome, Rejection):
        return Step(pod=pod, rejection=outcome), node
    step = Step(pod=pod, rejection=None, granted=outcome.granted, grown=_growths(node, outcome))
    return step, outcome.node


def _growths(before: CpuNode, outcome: Admission) -> tuple[Growth, ...]:
    held = {(r.pod_uid, r.key): r.server for r in before.reservations}
    return tuple(
        Growth(
            pod=r.pod_uid,
            container=r.container,
            tasks=r.key[1],
            core=r.core,
            before=held[r.pod_uid, r.key],
            after=r.server,
        )
        for r in outcome.node.reservations
        if r not in outcome.granted and held[r.pod_uid, r.key] != r.server
    )
