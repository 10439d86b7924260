"""What scarmiglione exports to Prometheus, on an injected registry. Labels are closed sets."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from k40s.reasons import Reason

_DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
DRIFTS = ("missing", "altered", "foreign")
CAUSES = ("unreserved", "unconfirmed", "pod-over", "given-up")


class SlotMetrics:
    """Pods' slots: applied, refused, withdrawn, repaired."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.applied = Counter(
            "k40s_scarmiglione_applied", "Pods whose slots were set up", registry=registry
        )
        self.refusals = Counter(
            "k40s_scarmiglione_refusals",
            "Pods whose slots were refused",
            ["reason"],
            registry=registry,
        )
        for reason in Reason:
            self.refusals.labels(reason=reason.value)
        self.withdrawn = Counter(
            "k40s_scarmiglione_withdrawn",
            "Pods whose slots were taken back, by cause",
            ["cause"],
            registry=registry,
        )
        for cause in CAUSES:
            self.withdrawn.labels(cause=cause)
        self.repairs = Counter(
            "k40s_scarmiglione_repairs",
            "Times that the kernel was given a pod's slots again, or after a restart",
            registry=registry,
        )
        self.failures = Counter(
            "k40s_scarmiglione_kernel_failures",
            "Calls of a station's kernel that failed",
            registry=registry,
        )
        self.pods = Gauge(
            "k40s_scarmiglione_pods", "Pods in the book, by phase", ["phase"], registry=registry
        )
        self.apply_seconds = Histogram(
            "k40s_scarmiglione_apply_seconds",
            "Duration of setting up all slots of one pod in the kernel",
            registry=registry,
            buckets=_DURATIONS,
        )
        self.errors = Counter(
            "k40s_scarmiglione_tick_errors", "Unforeseen errors in a loop", registry=registry
        )


class StationMetrics:
    """Health of the node's stations, and what was reported about it."""

    def __init__(self, registry: CollectorRegistry, *, health: Iterable[str]) -> None:
        """``health`` are all codes."""
        self._health = tuple(health)
        self.stations = Gauge(
            "k40s_scarmiglione_stations",
            "The node's stations, by health",
            ["health"],
            registry=registry,
        )
        self.channels = Gauge(
            "k40s_scarmiglione_free_channels",
            "Channels that are free for pods, on all stations",
            registry=registry,
        )
        self.drift = Gauge(
            "k40s_scarmiglione_drift",
            "Slots that differ between book and kernel at the last look, by kind",
            ["kind"],
            registry=registry,
        )
        for kind in DRIFTS:
            self.drift.labels(kind=kind)
        self.sync_losses = Counter(
            "k40s_scarmiglione_sync_losses",
            "Times that a station stopped receiving the master's Sync",
            registry=registry,
        )
        self.clock_steps = Counter(
            "k40s_scarmiglione_clock_steps",
            "Times that the node's real-time clock was stepped",
            registry=registry,
        )
        self.conflicts = Gauge(
            "k40s_scarmiglione_table_conflicts",
            "Networks with this node as master whose reservations overlap",
            registry=registry,
        )
        self.events = Counter(
            "k40s_scarmiglione_events",
            "Events written on pods and on the node",
            ["reason"],
            registry=registry,
        )
        self.events_dropped = Counter(
            "k40s_scarmiglione_events_dropped",
            "Events that were not written: too many, or their object is gone",
            registry=registry,
        )
        self.unreadable = Counter(
            "k40s_scarmiglione_unreadable_objects",
            "Times that an object could not be understood as a whole, in a list or a change",
            ["kind"],
            registry=registry,
        )
        for kind in ("pods", "networks"):
            self.unreadable.labels(kind=kind)

    def show(self, found: Iterable[str]) -> None:
        """Set the number of stations of each health."""
        present = list(found)
        for code in self._health:
            self.stations.labels(health=code).set(present.count(code))
