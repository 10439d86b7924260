"""What rubicante exports to Prometheus, on an injected registry. Labels come from closed sets."""

import contextlib
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from k40s.cpu.model import CpuNode, PodDemand
from k40s.cpu.outcome import Admission, Admit, Rejection
from k40s.criticality import Criticality
from k40s.node_api.allocation import core_name
from k40s.reasons import Reason
from k40s.units import NS_PER_S, Nanoseconds

FEATURE_STATES = ("on", "off", "absent", "unreadable")
MOVES = ("asleep", "woken", "awake")
TASK_STATES = ("enforced", "stand-in", "waiting")
_ANALYSES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_DELAYS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)


class EnforcementMetrics:
    """Enforced tasks, delays and refusals of the kernel."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.tasks = Gauge(
            "k40s_rubicante_tasks",
            "Real-time tasks with a reservation: enforced by name, by a stand-in, or waiting",
            ["state"],
            registry=registry,
        )
        for state in TASK_STATES:
            self.tasks.labels(state=state)
        self.delay = Histogram(
            "k40s_rubicante_enforcement_delay_seconds",
            "Time from a container's cgroup being seen to its thread being in its budget group",
            registry=registry,
            buckets=_DELAYS,
        )
        self.lag = Histogram(
            "k40s_rubicante_enforcement_lag_seconds",
            "Time from a pod's cgroup being seen to the first moment all its tasks are enforced",
            registry=registry,
            buckets=_DELAYS,
        )
        self.failures = Counter(
            "k40s_rubicante_enforcement_failures",
            "Attempts to enforce that the kernel refused",
            registry=registry,
        )
        self.unreserved = Gauge(
            "k40s_rubicante_unreserved_pods",
            "Pods bound here that carry an allocation but hold no reservation",
            registry=registry,
        )


class ExchangeMetrics:
    """Exchanges of servers, their steps, and the threads that they moved."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.begun = Counter(
            "k40s_rubicante_exchanges_begun",
            "Exchanges of servers that began because a pod had no room",
            registry=registry,
        )
        self.ended = Counter(
            "k40s_rubicante_exchanges_ended",
            "Exchanges of servers that ended, by what became of the pod that had no room",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("completed", "withdrawn"):
            self.ended.labels(outcome=outcome)
        self.steps = Counter(
            "k40s_rubicante_exchange_steps",
            "Reservations that have another server since an exchange",
            registry=registry,
        )
        self.moves = Counter(
            "k40s_rubicante_exchange_moves",
            "Threads that were moved between budget groups while they slept, awoke, or never slept",
            ["how"],
            registry=registry,
        )
        for how in MOVES:
            self.moves.labels(how=how)
        self.held_up = Counter(
            "k40s_rubicante_exchange_hold_ups",
            "Times that an exchange could not go on: the kernel, the store or the node refused",
            registry=registry,
        )


class BookMetrics:
    """Requests to the book, and the bandwidth that it holds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.reserved = Counter(
            "k40s_rubicante_reservations", "Pods that were given a reservation", registry=registry
        )
        self.refusals = Counter(
            "k40s_rubicante_refusals", "Refused reservations", ["reason"], registry=registry
        )
        for reason in Reason:
            self.refusals.labels(reason=reason.value)
        self.utilization = Gauge(
            "k40s_rubicante_core_utilization",
            "Sum of budget over period of the servers on a core",
            ["core"],
            registry=registry,
        )
        self.errors = Counter(
            "k40s_rubicante_tick_errors", "Unforeseen errors in a loop", registry=registry
        )

        self.analysis = Histogram(
            "k40s_rubicante_analysis_seconds",
            "Duration of one admission: schedulability analysis and budget synthesis",
            registry=registry,
            buckets=_ANALYSES,
        )

    def timed(self, admit: Admit) -> Admit:
        """The same admission, with its duration observed."""

        def observed(node: CpuNode, demand: PodDemand) -> Admission | Rejection:
            with self.analysis.time():
                return admit(node, demand)

        return observed

    def show(self, node: CpuNode) -> None:
        """Set the utilization of every core, and of the root domain that they share, if any."""
        for core, used in node.utilizations().items():
            self.utilization.labels(core=str(core_name(core))).set(float(used))


class FeedbackMetrics:
    """Overruns, throttling and troubles, and the events and conditions about them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.overruns = Counter(
            "k40s_rubicante_overruns",
            "Times that a task used more CPU time than its contract allows",
            ["criticality"],
            registry=registry,
        )
        for criticality in (Criticality.LOW, Criticality.HI):
            self.overruns.labels(criticality=criticality.name)
        self.throttled = Counter(
            "k40s_rubicante_throttled_seconds",
            "Time that budget groups were throttled, sampled once a second",
            ["core"],
            registry=registry,
        )
        self.conditions = Gauge(
            "k40s_rubicante_conditions",
            "Reservations whose enforcement is in trouble, by what it is",
            ["trouble"],
            registry=registry,
        )
        self.events = Counter(
            "k40s_rubicante_events", "Events written on pods", ["reason"], registry=registry
        )
        self.pod_conditions = Counter(
            "k40s_rubicante_pod_condition_writes",
            "Writes of the condition k40s.io/enforced on pods, by what became of them",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("written", "failed"):
            self.pod_conditions.labels(outcome=outcome)
        self.events_dropped = Counter(
            "k40s_rubicante_events_dropped",
            "Events that were not written: too many, or their pod is gone",
            registry=registry,
        )


class TimerMetrics:
    """HRTICK_DL, and how late SCHED_DEADLINE budgets end."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.feature = Gauge(
            "k40s_rubicante_hrtick_dl",
            "1 for the state of the scheduler feature HRTICK_DL",
            ["state"],
            registry=registry,
        )
        self.refused = Gauge(
            "k40s_rubicante_hrtick_dl_refused",
            "1 where K40S_HRTICK permits HRTICK_DL and it is not on",
            registry=registry,
        )
        self.losses = Counter(
            "k40s_rubicante_hrtick_dl_losses",
            "Times that another program switched HRTICK_DL off",
            registry=registry,
        )
        self.lateness = Gauge(
            "k40s_rubicante_budget_lateness_seconds",
            "How late SCHED_DEADLINE budgets end: counted on, the preemption model's bound, and "
            "the largest measured of a thread in user mode and in system calls; and what others' "
            "system calls were measured to add to the cost of wake-ups",
            ["of"],
            registry=registry,
        )
        self._losses = 0

    def show(
        self,
        *,
        state: str,
        permitted: bool,
        losses: int,
        lateness: Mapping[str, Nanoseconds | None],
    ) -> None:
        """Set them; ``losses`` is their number so far. A lateness of None is not known."""
        for one in FEATURE_STATES:
            self.feature.labels(state=one).set(one == state)
        self.refused.set(permitted and state != FEATURE_STATES[0])
        self.losses.inc(losses - self._losses)
        self._losses = losses
        for name, late in lateness.items():
            if late is not None:
                self.lateness.labels(of=name).set(late / NS_PER_S)
                continue
            with contextlib.suppress(KeyError):
                self.lateness.remove(name)


class ReconciliationMetrics:
    """Differences between book, pods and kernel, and unreadable objects."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.unreadable = Counter(
            "k40s_rubicante_unreadable_objects",
            "Times that an object could not be understood as a whole, in a list or a change",
            ["kind"],
            registry=registry,
        )
        self.unreadable.labels(kind="pods")
        self.differences = Gauge(
            "k40s_rubicante_differences",
            "Differences between book, pods and kernel, by kind",
            ["kind"],
            registry=registry,
        )
