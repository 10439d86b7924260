"""Pods that were admitted, and whose deadlines the node guarantees no more.

That happens when budgets are enforced later than at their admission: a kernel that is slower than
it seemed, a timer that was switched off. Capacities are not looked at: a limit that was lowered
makes nobody late.
"""

from collections.abc import Iterator

from k40s.cpu.admission.sched_deadline import (
    interference,
    late_pods,
    quantize_deadline_task,
)
from k40s.cpu.admission.schedulability import late_bands
from k40s.cpu.linux import (
    avoids_rt_throttling,
    quantize_deadline_tick,
    quantize_server,
    quantize_tick,
)
from k40s.cpu.model import ANY_CORE, CpuNode, Domain, Mechanism


def endangered_pods(node: CpuNode) -> frozenset[str]:
    """UIDs of pods on the node that may miss a deadline at its present granularity (δ) and delay.

    Without an offer of SCHED_DEADLINE, what it enforces is not judged.
    """
    return frozenset((*_in_domains(node), *_in_groups(node)))


def _in_domains(node: CpuNode) -> Iterator[str]:
    offer = node.deadline
    if offer is None:
        return
    for held in node.reservations:
        if held.mechanism is Mechanism.DEADLINE:
            needed, _period, _deadline = quantize_deadline_task(held.tasks[0], offer)
            if quantize_server(held.server)[0] < needed:
                yield held.pod_uid
    shared = offer.domain is Domain.SHARED
    for core in node.utilizations() if not shared else ():
        yield from late_pods([held for held in node.deadline_on(core) if held.core == core], offer)
    if shared:
        migrating = [held for held in node.reservations if held.core == ANY_CORE]
        yield from late_pods(migrating, offer)


def _in_groups(node: CpuNode) -> Iterator[str]:
    """Pods in budget groups, below the threads of SCHED_DEADLINE on their core."""
    tick = quantize_tick(node)
    for core in sorted({held.core for held in node.reservations if held.priorities}):
        bands = node.on_core(core)
        servers = [quantize_server(held.server) for held in bands]
        above = [quantize_server(held.server) for held in node.deadline_on(core)]
        taken = interference(above, quantize_deadline_tick(node), tick)
        late = (
            late_bands(bands, tick, taken) if avoids_rt_throttling(servers, tick, taken) else bands
        )
        yield from (held.pod_uid for held in late)
