"""What rubicante exports to Prometheus, on an injected registry. Labels come from closed sets."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from k40s.cpu.model import CpuNode, PodDemand
from k40s.cpu.outcome import Admission, Admit, Rejection
from k40s.criticality import Criticality
from k40s.node_api.allocation import core_name
from k40s.reasons import Reason

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
