"""Invariants of every admission, whether or not the analysis behind it is right.

All of the pod's tasks are served and nothing else is granted, reservations of others are neither
removed nor shrunk, and the limits of the kernel are kept. Deadlines are not tested here.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

from k40s.cpu.analysis.deferrable_server import share_of_node
from k40s.cpu.linux import (
    LONGEST_DEADLINE_PERIOD,
    LOWEST_PRIORITY,
    quantize_ancestor_period,
    quantize_server,
    quantize_tick,
)
from k40s.cpu.model import (
    ANY_CORE,
    HIGHEST_PRIORITY,
    CpuNode,
    Domain,
    Mechanism,
    PodDemand,
    Reservation,
    Server,
    Task,
    total_bandwidth,
)
from k40s.cpu.outcome import Admission
from k40s.criticality import Criticality
from k40s.units import NS_PER_US


def find_breach(node: CpuNode, demand: PodDemand, admission: Admission) -> str | None:
    """The first invariant that an admission of the demand to the node breaks, as text, or None.

    A limit that was exceeded before (a capacity was lowered) may stay so, but not get worse.
    """
    after = admission.node
    if not _has_exact_types(after, admission.granted):
        return "a reservation, or something in it, is of another kind"
    if after.holding(()) != node.holding(()):
        return "the node offers something else than before"
    own = [held for held in after.reservations if held.pod_uid == demand.pod_uid]
    if Counter(own) != Counter(admission.granted):
        return "what is granted is not what the node holds for the pod"
    breaches = (
        *_of_the_pod(node, demand, own),
        *_of_changing(node, own),
        *_of_others(node, after, demand),
        *_of_capacities(node, after),
        *_of_groups(after),
        *_of_containers(after),
        *_of_deadline(after),
        *_of_cores(after),
    )
    return next(iter(breaches), None)


def _has_exact_types(after: CpuNode, granted: tuple[Reservation, ...]) -> bool:
    """Whether all values have exactly the types of the model: ``True`` and 1.0 equal 1."""
    held = after.reservations
    return type(held) is tuple and all(_is_reservation(one) for one in (*held, *granted))


def _is_reservation(held: Reservation) -> bool:
    if type(held) is not Reservation:
        return False
    parts = (held.server, held.tasks, held.priorities, held.mechanism, held.criticality)
    if tuple(map(type, parts)) != (Server, tuple, tuple, Mechanism, Criticality):
        return False
    if any(type(task) is not Task for task in held.tasks):
        return False
    times = [time for task in held.tasks for time in (task.wcet, task.period, task.deadline)]
    group = () if held.group is None else (held.group,)
    numbers = (held.core, held.server.budget, held.server.period, *held.priorities, *group, *times)
    return all(type(number) is int for number in numbers)


def _of_the_pod(node: CpuNode, demand: PodDemand, own: Iterable[Reservation]) -> Iterator[str]:
    wanted = Counter((c.container, task) for c in demand.containers for task in c.tasks)
    if Counter((held.container, task) for held in own for task in held.tasks) != wanted:
        yield "a task is not served exactly once"
    offered = {Mechanism.RT_CGROUP} if node.node_capacity > 0 else set()
    if node.deadline is not None:
        offered.add(Mechanism.DEADLINE)
    if demand.mechanism is not None:
        offered &= {demand.mechanism}
    for held in own:
        if held.criticality is not demand.criticality:
            yield "the criticality is not the pod's"
        if held.mechanism not in offered:
            yield f"{held.mechanism} is not offered, or not what the pod asks for"
        if held.core not in node.utilizations():
            yield f"core {held.core} is not one of the node"
        grouped = node.shared_groups and held.mechanism is Mechanism.RT_CGROUP
        if grouped != (held.group is not None):
            yield "budget groups are not shared as the node shares them"
        if any(task.core not in (None, held.core) for task in held.tasks):
            yield "a task is not on the core that it asks for"


def _of_changing(node: CpuNode, own: Iterable[Reservation]) -> Iterator[str]:
    for held in own:
        if held.core in node.changing or (held.core == ANY_CORE and node.changing):
            yield f"servers of core {held.core} are being exchanged"


def _of_others(node: CpuNode, after: CpuNode, demand: PodDemand) -> Iterator[str]:
    before = _by_key(node, demand)
    present = _by_key(after, demand)
    if Counter(before.keys()) != Counter(present.keys()) or len(present) != len(
        [held for held in after.reservations if held.pod_uid != demand.pod_uid]
    ):
        yield "reservations of other pods appeared or disappeared"
        return
    for key, held in before.items():
        changed = present[key]
        if replace(changed, server=held.server, priorities=held.priorities) != held:
            yield f"a reservation of pod {held.pod_uid} has moved or changed its tasks"
        if changed.server.period != held.server.period:
            yield f"a server of pod {held.pod_uid} has changed its period"
        if changed.server.budget < held.server.budget:
            yield f"a server of pod {held.pod_uid} has shrunk"


def _by_key(
    node: CpuNode, demand: PodDemand
) -> dict[tuple[str, tuple[str, tuple[str, ...]]], Reservation]:
    return {
        (held.pod_uid, held.key): held
        for held in node.reservations
        if held.pod_uid != demand.pod_uid
    }


def _of_capacities(node: CpuNode, after: CpuNode) -> Iterator[str]:
    used, before = after.utilizations(), node.utilizations()
    offer = node.deadline
    for core, share in used.items():
        limit = node.core_capacity
        if offer is not None and core == ANY_CORE:
            limit = offer.cpus * offer.capacity
        elif offer is not None and not after.on_core(core):
            limit = max(limit, offer.capacity)
        if share > max(limit, before[core]):
            yield f"the servers of core {core} use {share} of {limit}"
    budgets = _groups_share(after)
    if budgets > max(node.node_capacity, _groups_share(node)):
        yield f"the budget groups of the node use {budgets} of {node.node_capacity}"


def _groups_share(node: CpuNode) -> Fraction:
    """ΣQ/P over distinct budget groups: a shared one counts once, ancestors for what is below."""
    held = [r for r in node.reservations if r.mechanism is Mechanism.RT_CGROUP]
    ancestors, tick = quantize_ancestor_period(node), quantize_tick(node)
    if ancestors is not None:
        shares = (share_of_node(quantize_server(r.server), ancestors, tick) for r in held)
        return sum((Fraction(*share) for share in shares), Fraction(0))
    shared = {r.group: r for r in held if r.group is not None}
    return total_bandwidth([*shared.values(), *(r for r in held if r.group is None)])


def _of_groups(after: CpuNode) -> Iterator[str]:
    servers = {held.group: held.server for held in after.reservations}
    served: set[tuple[int, int]] = set()
    for held in after.reservations:
        if held.mechanism is not Mechanism.RT_CGROUP:
            continue
        if held.group is not None:
            if servers[held.group] != held.server:
                yield f"budget group {held.group} has two budgets"
            if (held.group, held.core) in served:
                yield f"budget group {held.group} serves two reservations on core {held.core}"
            served.add((held.group, held.core))


def _of_containers(after: CpuNode) -> Iterator[str]:
    held = [r for r in after.reservations if r.mechanism is Mechanism.RT_CGROUP]
    containers = {(r.pod_uid, r.container) for r in held}
    if after.ancestor_period is not None and len(containers) < len(held):
        yield "a container's own cgroup serves two reservations"


def _of_deadline(after: CpuNode) -> Iterator[str]:
    for held in after.reservations:
        if held.mechanism is Mechanism.DEADLINE:
            budget, period = held.server.budget, held.server.period
            longest = LONGEST_DEADLINE_PERIOD * NS_PER_US
            if not budget <= held.tasks[0].deadline <= period <= longest:
                yield "SCHED_DEADLINE needs budget <= deadline <= period, of 4.194304s at most"


def _of_cores(after: CpuNode) -> Iterator[str]:
    levels: dict[tuple[int, int], Criticality] = {}
    tenants: dict[int, str] = {}
    exclusive = after.deadline is not None and after.deadline.domain is Domain.EXCLUSIVE
    for held in after.reservations:
        if held.server.budget % NS_PER_US or held.server.period % NS_PER_US:
            yield "a server is not in whole microseconds"
        for level in set(held.priorities):
            if not LOWEST_PRIORITY <= level <= HIGHEST_PRIORITY:
                yield f"priority {level} is not one of {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}"
            if levels.setdefault((held.core, level), held.criticality) is not held.criticality:
                yield f"HI and LOW have priority {level} on core {held.core}"
        if not exclusive or held.mechanism is not Mechanism.DEADLINE:
            continue
        if tenants.setdefault(held.core, held.pod_uid) != held.pod_uid:
            yield f"core {held.core} belongs to another pod"
