"""Why a node's CPU does not suffice: bandwidth by core, who has it, what the test found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from extender.cache.bound_pods import BoundPods
from extender.cache.snapshot import NodeView
from extender.explanation.case import Case, Finding
from extender.explanation.holders import (
    core_name,
    cpu_obstacle,
    held_by_pod,
    pods_by_prefix,
)
from extender.explanation.silence import explain_silence
from extender.explanation.wording import free, listed, needed, sentence
from extender.placement.admission_cache import FindTest
from extender.preemption.trial import own_uid
from k40s.annotations import CpuState
from k40s.cpu.admission.necessary_condition import (
    find_lacking_bandwidth,
    free_bandwidth,
    needed_bandwidth,
)
from k40s.cpu.model import CpuNode, PodDemand
from k40s.cpu.outcome import Rejection
from k40s.cpu.workload import Workload, resolve
from k40s.explanation.model import Figure, Obstacle
from k40s.reasons import Reason

_MOST_CORES = 16
_OF_NODE = Reason.CPU_NODE_BANDWIDTH
_CHANGING = (
    "Servers of pods there are being exchanged to make room for another pod. It takes pods again "
    "within a minute, and the scheduler then retries."
)
IsLate = Callable[[], bool]
Rooms = Mapping[int, tuple[Fraction, Fraction]]
"""By core: what is free there, and the bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuFigures:
    """Explains refusals by real-time CPU. Any thread may call."""

    tests: FindTest
    pods: BoundPods

    def explain(self, case: Case, late: IsLate) -> Finding:
        """The figures; the test itself is asked for its own only while there is time."""
        view = case.view
        if view is None or view.cpu is None:
            return Finding(detail=explain_silence(case))
        if case.reason is Reason.CPU_CORE_CHANGING:
            return Finding(detail=_CHANGING)
        state = view.cpu
        demand = resolve(
            case.asked.workload,
            pod_uid=own_uid(view, case.asked.pod.uid),
            platform=state.node.platform,
            factor=state.node.platform_factor,
        )
        if isinstance(demand, Reason):
            return Finding(detail=_no_demand(case.asked.workload, state.node))
        rooms = free_bandwidth(core_utilizations=state.utilization, node=state.node, demand=demand)
        lacking = find_lacking_bandwidth(
            core_utilizations=state.utilization, node=state.node, demand=demand
        )
        found = self._ask_test(case, state, demand, late)
        return Finding(
            detail=" ".join((*_of_bandwidth(rooms, demand), found)),
            figures=_figures(rooms, state, demand, of_node=case.reason is _OF_NODE),
            obstacles=self._obstacles(view, state, demand, rooms),
            lacking=float(lacking),
        )

    def _ask_test(self, case: Case, state: CpuState, demand: PodDemand, late: IsLate) -> str:
        """What the node's admission test says of the published state."""
        test = self.tests(state.test)
        if test is None:
            return f"The node itself was asked: its test {state.test} is not installed here."
        if not state.complete:
            return "The node itself was asked: it publishes sums of its reservations alone."
        if late():
            return "The test's own figures were not asked for: time was up."
        outcome = test(state.node, demand)
        if not isinstance(outcome, Rejection):
            return "The node's daemon refused it, though its published state has room."
        if outcome.reason is not case.reason:
            return f"The node's daemon refused it; here the test says {outcome.reason.value}."
        return sentence(f"The test {state.test} found: {outcome.detail}") if outcome.detail else ""

    def _obstacles(
        self, view: NodeView, state: CpuState, demand: PodDemand, rooms: Rooms
    ) -> tuple[Obstacle, ...]:
        """Pods that hold something of the cores that the demand may use."""
        if not state.complete:
            return ()
        pods = pods_by_prefix(self.pods, view.name)
        others = [
            held
            for held in state.node.reservations
            if held.pod_uid != demand.pod_uid and (held.core in rooms or not rooms)
        ]
        return tuple(
            cpu_obstacle(prefix, held, pods.get(prefix))
            for prefix, held in held_by_pod(others).items()
        )


def _no_demand(workload: Workload, node: CpuNode) -> str:
    """Why the pod's tasks are none on this platform."""
    platform = node.platform
    for task in workload.tasks:
        wcet = task.wcet.on(platform, node.platform_factor)
        if wcet is None:
            known = listed(sorted(task.wcet.by_platform or ()))
            return (
                f"Task {task.name} has WCETs for {known}, and the node's platform "
                f"(label k40s.io/platform) is {platform or 'not said'}."
            )
        if wcet > task.deadline:
            return (
                f"Task {task.name} takes {wcet / 1e6:.3f}ms on the platform {platform} (factor "
                f"{node.platform_factor}), longer than its deadline of {task.deadline / 1e6:.3f}ms."
            )
    return "The pod's tasks are no demand on this platform."


def _of_bandwidth(rooms: Rooms, demand: PodDemand) -> tuple[str, ...]:
    total, largest = needed_bandwidth(demand)
    if not rooms:
        return ("The node offers no mechanism that the pod asks for.",)
    nearest = max(rooms, key=lambda core: (rooms[core][0], -core))
    room, limit = rooms[nearest]
    tasks = sum(len(container.tasks) for container in demand.containers)
    what = f"The pod's task needs {needed(total)} of a core at least"
    if tasks > 1:
        what = f"The pod's {tasks} tasks need {needed(total)} of a core at least, "
        what += f"the largest of them {needed(largest)}"
    return (f"{what}; {core_name(nearest)} has the most left, {free(room)} of {free(limit)}.",)


def _figures(
    rooms: Rooms, state: CpuState, demand: PodDemand, *, of_node: bool
) -> tuple[Figure, ...]:
    """Cores by the bandwidth left, and the node as a whole where its sums tell that.

    ``of_node``: the node as a whole lacks room, so that the cores' figures would mislead.
    """
    total, largest = needed_bandwidth(demand)
    ranked = sorted(rooms.items(), key=lambda one: (-one[1][0], one[0]))
    figures = [
        Figure(
            what=f"{core_name(core)}, bandwidth",
            needed=needed(largest),
            free=f"{free(room)} of {free(limit)}",
        )
        for core, (room, limit) in ranked[:_MOST_CORES]
    ]
    node = state.node
    if node.deadline is None and not node.shared_groups:
        used = sum(state.utilization.values(), Fraction(0))
        left = max(node.node_capacity - used, Fraction(0))
        figures.append(
            Figure(
                what="all cores together, bandwidth",
                needed=needed(total),
                free=f"{free(left)} of {free(node.node_capacity)}",
            )
        )
        return tuple(figures[-1:] if of_node else figures)
    return () if of_node else tuple(figures)
