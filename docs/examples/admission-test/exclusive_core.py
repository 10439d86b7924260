"""A schedulability test for k40s nodes: a container has its core for itself, at half load or less.

The tasks get deadline-monotonic priorities, and Σ C/D may not exceed one half: that is below the
bound ln 2 of Liu and Layland (JACM 1973), as if each period were as short as its deadline. Nobody
else is on the core, so only the container's own budget could stop them; it is large enough for
whatever they do in one of its periods, a tick of late accounting included, and thus never does
while they keep their WCETs. Sufficient, far from exact, and simple enough for an audit by hand.
"""

from fractions import Fraction
from itertools import count

from k40s.cpu.linux import quantize_task
from k40s.cpu.model import (
    ANY_CORE,
    HIGHEST_PRIORITY,
    ContainerDemand,
    CpuNode,
    Mechanism,
    PodDemand,
    Reservation,
    Server,
    total_bandwidth,
)
from k40s.cpu.outcome import Admission, Rejection
from k40s.reasons import Reason
from k40s.units import NS_PER_US, Nanoseconds

MOST_LOAD = Fraction(1, 2)
MOST_TASKS = 48
LONGEST_SERVER_PERIOD = 1_000_000
"""Microseconds. The kernel's own limit for real-time groups counts per second."""


def admit(node: CpuNode, demand: PodDemand) -> Admission | Rejection:
    """Give each container of the pod a core that nobody uses."""
    if node.node_capacity == 0 or demand.mechanism is Mechanism.DEADLINE:
        return Rejection(reason=Reason.CPU_NO_MECHANISM, detail="this test is for rt-cgroups")
    after = node.without(demand.pod_uid)
    for container in demand.containers:
        core = _free_core(after, container)
        if core is None:
            detail = f"container {container.container}: no core is free"
            return Rejection(reason=Reason.CPU_NO_BANDWIDTH, detail=detail)
        server = _server(container, after)
        if isinstance(server, str):
            detail = f"container {container.container}: {server}"
            return Rejection(reason=Reason.CPU_NOT_SCHEDULABLE, detail=detail)
        granted = Reservation(
            pod_uid=demand.pod_uid,
            container=container.container,
            core=core,
            criticality=demand.criticality,
            server=server,
            tasks=container.tasks,
            priorities=_priorities(container),
            group=_unused_group(after) if after.shared_groups else None,
        )
        after = after.holding((*after.reservations, granted))
    if total_bandwidth(r for r in after.reservations if r.priorities) > node.node_capacity:
        return Rejection(reason=Reason.CPU_NODE_BANDWIDTH, detail="one budget for each core")
    own = tuple(held for held in after.reservations if held.pod_uid == demand.pod_uid)
    return Admission(node=after, granted=own)


def _free_core(node: CpuNode, container: ContainerDemand) -> int | None:
    """The first core that nobody uses and that every task would take."""
    used = {held.core for held in node.reservations}
    if ANY_CORE in used:
        return None
    asked = {task.core for task in container.tasks if task.core is not None}
    return next((core for core in node.cores if core not in used and asked <= {core}), None)


def _server(container: ContainerDemand, node: CpuNode) -> Server | str:
    """The server that never stops these tasks, or why they are refused. Microseconds inside."""
    if any(task.priority is not None for task in container.tasks):
        return "this test orders tasks by their deadlines alone"
    if len(container.tasks) > MOST_TASKS:
        return f"more than {MOST_TASKS} tasks"
    figures = [quantize_task(task) for task in container.tasks]
    if sum(Fraction(wcet, deadline) for wcet, _, deadline in figures) > MOST_LOAD:
        return f"a load above {MOST_LOAD}"
    tick = -(-node.tick // NS_PER_US)
    period = min(4 * max(interval for _, interval, _ in figures), LONGEST_SERVER_PERIOD)
    budget = sum((-(-(period + tick) // interval) + 1) * wcet for wcet, interval, _ in figures)
    if budget > node.core_capacity * period:
        return "too much of it can come at once"
    return Server(budget=Nanoseconds(budget * NS_PER_US), period=Nanoseconds(period * NS_PER_US))


def _priorities(container: ContainerDemand) -> tuple[int, ...]:
    """Deadline-monotonic, from the highest downwards, in the order of the tasks."""
    tasks = container.tasks
    urgent = sorted(range(len(tasks)), key=lambda position: tasks[position].deadline)
    rank = {position: number for number, position in enumerate(urgent)}
    return tuple(HIGHEST_PRIORITY - rank[position] for position in range(len(tasks)))


def _unused_group(node: CpuNode) -> int:
    used = {held.group for held in node.reservations}
    return next(number for number in count() if number not in used)
