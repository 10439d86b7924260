"""β, the software part of the level: proposed from what the node runs, in the paper's order.

General-purpose kernel, low-latency preemption, PREEMPT_RT, co-kernel (paper, Fig. 2): one point
each from 1 to 4, one more for isolated CPUs, less for what disturbs even a good kernel.
"""

from dataclasses import dataclass
from enum import Enum

from k40s.units import NS_PER_MS, Nanoseconds

HIGHEST = 5
_COARSE_TICK = Nanoseconds(4 * NS_PER_MS)


class Preemption(Enum):
    """How the kernel can be preempted; the value is its point."""

    GENERAL = 1
    LOW_LATENCY = 2
    REAL_TIME = 3
    CO_KERNEL = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftwareFacts:
    """What can be read of a node; None is unknown and counts as the worse.

    ``tick`` is 1/HZ. ``isolated`` tells whether all of the node's CPUs are kept from the
    scheduler's load balancing, ``multithreading`` whether SMT is active, ``group_budgets``
    whether the kernel has rt-cgroups.
    """

    preemption: Preemption | None
    tick: Nanoseconds | None
    isolated: bool
    group_budgets: bool
    governor: str | None
    multithreading: bool
    virtual: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftwareProposal:
    """A proposed β (0..5) and one line for everything that made it."""

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
    if not facts.group_budgets:
        steps.append((-1, "no real-time group budgets"))
    value = min(HIGHEST, max(0, sum(points for points, _ in steps)))
    return SoftwareProposal(
        value=value, reasons=tuple(f"{points:+d} {said}" for points, said in steps)
    )


_KERNELS = {
    Preemption.GENERAL: "general-purpose kernel",
    Preemption.LOW_LATENCY: "low-latency preemption",
    Preemption.REAL_TIME: "PREEMPT_RT kernel",
    Preemption.CO_KERNEL: "co-kernel",
}
