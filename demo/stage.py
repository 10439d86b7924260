"""What the chapters share: the cluster's two nodes, an observer, and the output."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

from demo.budgets import BudgetGroup
from demo.observer import Observer
from demo.pods import Manifest
from demo.report import Check
from demo.sizes import SIZES, Sizes
from k40s.annotations import ASSURANCE_KEY, CPU_STATE_KEY, parse_cpu_state, parse_node_assurance
from k40s.cpu.model import Mechanism

START_SECONDS = 300.0
MEASURE_SECONDS = 5.0
HI_NODE = 14
"""The assurance that a HI pod needs."""

POLICIES = {
    os.SCHED_OTHER: "SCHED_OTHER",
    os.SCHED_FIFO: "SCHED_FIFO",
    os.SCHED_RR: "SCHED_RR",
    6: "SCHED_DEADLINE",  # which Python does not name
}


Chapter = Callable[["Stage"], list[Check]]
"""Plays on a stage, and says what it found beside what it expects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One cluster with a real-time node and a general node. ``say`` prints a line."""

    observer: Observer
    real_time_node: str
    general_node: str
    say: Callable[[str], None]

    def mechanism(self) -> Mechanism | None:
        """What holds real-time threads to their budgets on the real-time node."""
        text = self.observer.node_annotation(self.real_time_node, CPU_STATE_KEY)
        names = parse_cpu_state(text).mechanism.split("+") if text else []
        return next((one for one in Mechanism if one.value in names), None)

    def sizes(self) -> Sizes:
        """The sizes of pods for this node."""
        return SIZES[self.mechanism() or Mechanism.RT_CGROUP]

    def wait_until(self, what: str, condition: Callable[[], object], *, seconds: float) -> None:
        """See ``Observer.wait_until``."""
        self.observer.wait_until(what, condition, seconds=seconds)

    def wait_running(self, name: str, *, seconds: float = START_SECONDS) -> None:
        """Wait until a pod runs."""
        self.wait_until(f"pod {name!r} runs", partial(self._runs, name), seconds=seconds)

    def _runs(self, name: str) -> bool:
        return self.observer.phase_of(name) == "Running"

    def create_and_wait(self, pods: Sequence[Manifest], names: Sequence[str]) -> None:
        """Create pods one after the other, as teams do, and wait until each runs."""
        for pod, name in zip(pods, names, strict=True):
            self.observer.create(pod)
            self.wait_running(name)

    def group_with_thread(self, *, known: Sequence[str]) -> BudgetGroup:
        """The budget group that is new, once a thread is in it."""

        def found() -> list[BudgetGroup]:
            groups = self.observer.groups()
            return [g for g in groups if g.name not in known and len(g.threads) == 1]

        self.wait_until("a real-time thread is in its budget group", found, seconds=START_SECONDS)
        return found()[0]

    def policy(self, thread: int) -> str:
        """A thread's scheduling policy by name, and its real-time priority if it has one."""
        policy = os.sched_getscheduler(thread) & ~os.SCHED_RESET_ON_FORK
        priority = os.sched_getparam(thread).sched_priority
        return f"{POLICIES.get(policy, policy)} {priority or ''}".rstrip()

    def share(self, thread: int) -> tuple[float, str]:
        """The share of a CPU that a thread ran for, and the CPU time stolen meanwhile."""
        before = self.stolen()
        share = self.observer.share(thread, MEASURE_SECONDS)
        return share, f"steal {self.stolen() - before} ms in {MEASURE_SECONDS:.0f} s"

    def stolen(self) -> int:
        """Milliseconds of CPU time that the hypervisor took from this machine so far."""
        return self.observer.steal() * 1000 // os.sysconf("SC_CLK_TCK")

    def jobs(self, name: str) -> int:
        """How many jobs a periodic pod has done."""
        line = self.observer.last_log(name)
        return int(line.split()[0]) if line else 0

    def level(self, node: str) -> int:
        """The assurance that a node publishes; 0 where there is none."""
        text = self.observer.node_annotation(node, ASSURANCE_KEY)
        return parse_node_assurance(text).level if text else 0

    def reserved(self) -> int:
        """How many reservations the real-time node publishes."""
        text = self.observer.node_annotation(self.real_time_node, CPU_STATE_KEY)
        return len(parse_cpu_state(text).node.reservations)

    def utilization(self) -> Fraction:
        """ΣQ/P over the cores that the real-time node publishes."""
        text = self.observer.node_annotation(self.real_time_node, CPU_STATE_KEY)
        return sum(parse_cpu_state(text).utilization.values(), Fraction(0))
