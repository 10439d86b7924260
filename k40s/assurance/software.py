"""β, the software part of the level: proposed from kernel and configuration, in the paper's order.

General-purpose kernel, low-latency preemption, PREEMPT_RT, co-kernel (paper, Fig. 2): one point
each from 1 to 4, one more for isolated CPUs, less for interference such as SMT or a hypervisor.
"""

from dataclasses import dataclass
from enum import Enum

from k40s.units import NS_PER_MS, Nanoseconds

HIGHEST = 5
_WELL_ISOLATED = 2
_COARSE_TICK = Nanoseconds(4 * NS_PER_MS)


class Preemption(Enum):
    """How the kernel can be preempted; the value is its point."""

    GENERAL = 1
    LOW_LATENCY = 2
    REAL_TIME = 3
    CO_KERNEL = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftwareFacts:
    """Facts about a node; None is unknown and counts as the worst case.

    ``tick`` is 1/HZ. ``isolated`` says whether all of the node's CPUs are kept from the scheduler's
    load balancing, ``multithreading`` whether SMT is active, ``group_budgets`` whether rt-cgroups
    can be used, ``deadline`` whether SCHED_DEADLINE can: either enforces.
    """

    preemption: Preemption | None
    tick: Nanoseconds | None
    isolated: bool
    group_budgets: bool
    governor: str | None
    multithreading: bool
    virtual: bool
    deadline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftwareProposal:
    """A proposed β (0..5), and one line for each contribution."""

    value: int
    reasons: tuple[str, ...]


def propose_software_assurance(facts: SoftwareFacts) -> SoftwareProposal:
    """Propose β; the operator's own figure takes precedence over it."""
    kind = facts.preemption or Preemption.GENERAL
    said = "unknown preemption model" if facts.preemption is None else _KERNELS[kind]
    steps = [(kind.value, said)]
    if facts.isolated:
        steps.append((1, "isolated CPUs"))
    if facts.virtual:
        steps.append((-1, "virtual machine"))
    if facts.multithreading:
        steps.append((-1, "simultaneous multithreading"))
    if facts.governor not in (None, "performance"):
        steps.append((-1, f"frequency governor {facts.governor}"))
    if facts.tick is None or facts.tick > _COARSE_TICK:
        steps.append((-1, "tick slower than 250 Hz"))
    if not facts.group_budgets and not facts.deadline:
        steps.append((-1, "no real-time group budgets and no SCHED_DEADLINE"))
    value = min(HIGHEST, max(0, sum(points for points, _ in steps)))
    return SoftwareProposal(
        value=value, reasons=tuple(f"{points:+d} {said}" for points, said in steps)
    )


def sampling_period(software: int) -> Nanoseconds:
    """The sampling period for a node of this β (paper, IV-B: by the isolation guarantees).

    Where the kernel isolates little, a hazard reaches critical tasks at once, and is to be seen
    soon. Where it isolates well, sampling itself is a larger part of what disturbs them. Detection
    and attribution were measured at these two periods.
    """
    return Nanoseconds((1000 if software >= _WELL_ISOLATED else 500) * NS_PER_MS)


_KERNELS = {
    Preemption.GENERAL: "general-purpose kernel",
    Preemption.LOW_LATENCY: "low-latency preemption",
    Preemption.REAL_TIME: "PREEMPT_RT kernel",
    Preemption.CO_KERNEL: "co-kernel",
}
