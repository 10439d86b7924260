"""``k40s_controller_*``. Labels come from closed sets, and nothing is counted pod by pod."""

from collections import Counter as Count
from collections.abc import Mapping
from enum import StrEnum, unique

from prometheus_client import CollectorRegistry, Counter, Gauge

from controller.preemption_rules.candidates import Obstacle as PreemptionObstacle
from controller.preemption_rules.progress import End
from k40s.assurance.eviction import EvictionObstacle
from k40s.assurance.migration.candidates import Obstacle
from k40s.errors import UnavailableError
from k40s.ledger.collection import REMOVALS

KINDS = ("nodes", "leases", "pods", "networks", "tenants", "runtime-classes")
ANSWERS = ("taken", "refused", "failed")
ENDS = ("evicted", "returned")
WRITES = ("written", "conflict", "failed")
EVICTIONS = ("evicted", "held-up", "failed")
PLANS = ("plan", "fits", "none", "unknown", "failed")


@unique
class Method(StrEnum):
    """How a move begins; a metric's label."""

    SURGE = "surge"
    """The pod is released from its ReplicaSet, and evicted when its replacement is ready."""
    EVICT = "evict"
    """The pod is evicted, and its controller creates another one."""


@unique
class EventReason(StrEnum):
    """The event's reason: a closed set, also a metric's label."""

    STARTED = "MigrationStarted"
    MIGRATED = "Migrated"
    RETURNED = "MigrationGivenUp"
    NOT_MIGRATED = "NotMigrated"
    PLANNED = "MigrationPlanned"
    UNKNOWN = "AssuranceUnknown"
    PREEMPTS = "Preempts"
    PREEMPTED = "PreemptedByMoreCritical"
    PREEMPTION_PLANNED = "PreemptionPlanned"
    NOT_PREEMPTING = "NotPreempting"
    PREEMPTION_HELD_UP = "PreemptionHeldUp"
    PREEMPTION_FAILED = "PreemptionFailed"
    CULPRIT_EVICTED = "CulpritEvicted"
    CULPRIT_NOT_EVICTED = "CulpritNotEvicted"


class ControllerMetrics:
    """All of the controller's metrics, on one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"k40s_controller_{name}", text, registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"k40s_controller_{name}", text, labels, registry=registry)

        self.leader = gauge("leader", "1 while this replica leads.")
        self.endangered = gauge(
            "endangered_pods", "LOW and HI pods whose node's level is too low for them."
        )
        self.in_progress = gauge("moves_in_progress", "Pods that wait for their replacement.")
        self.silent = gauge("unknown_nodes", "Nodes with LOW or HI pods whose level is unknown.")
        held = Gauge(
            "k40s_controller_held_pods",
            "Endangered pods that stay where they are for now, by what keeps them there.",
            ["obstacle"],
            registry=registry,
        )
        self._held = {one: held.labels(one.value) for one in Obstacle}
        moves = counter("moves_total", "Moves that began.", "method")
        self.moves = {one: moves.labels(one.value) for one in Method}
        ends = counter("move_ends_total", "Moves of released pods that ended.", "outcome")
        self.ends = {one: ends.labels(one) for one in ENDS}
        questions = counter("questions_total", "Dry runs asked of the extender.", "answer")
        self.questions = {one: questions.labels(one) for one in ANSWERS}
        events = counter("events_total", "Events written.", "reason")
        self.events = {one: events.labels(one.value) for one in EventReason}
        self.events_dropped = counter("events_dropped_total", "Events that were not written.")
        unreadable = counter(
            "unreadable_objects_total", "Times that an object was partly unreadable.", "kind"
        )
        self.unreadable = {one: unreadable.labels(one) for one in KINDS}
        self.watch_errors = counter("watch_errors_total", "Lists and watches that failed.")
        self.unavailable = counter(
            "unavailable_total", "Requests that API server or extender did not answer."
        )
        self.errors = counter("tick_errors_total", "Unforeseen errors in a loop.")

    def show_held(self, obstacles: Count[Obstacle]) -> None:
        """The obstacles of the last look, by number of pods."""
        for obstacle, shown in self._held.items():
            shown.set(obstacles[obstacle])

    def count_failure(self, _error: UnavailableError) -> None:
        """A request failed."""
        self.unavailable.inc()


class EvictionMetrics:
    """Metrics of the eviction of culprits."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.evicted = Counter(
            "k40s_controller_culprits_evicted_total",
            "Culprits that were evicted.",
            registry=registry,
        )
        held = Gauge(
            "k40s_controller_held_culprits",
            "Pods whose eviction a node's monitor asks for, by what keeps them there.",
            ["obstacle"],
            registry=registry,
        )
        self._held = {one: held.labels(one.value) for one in EvictionObstacle}

    def show(self, obstacles: Mapping[EvictionObstacle, int]) -> None:
        """The obstacles of the last look, by number of pods."""
        for obstacle, shown in self._held.items():
            shown.set(obstacles.get(obstacle, 0))


class CollectionMetrics:
    """Metrics of the collection of networks' reservations."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        collected: str = "reservations_collected_total",
        writes: str = "network_writes_total",
        of: str = "Network",
    ) -> None:
        given = Counter(
            f"k40s_controller_{collected}",
            f"Reservations in the status of a {of} given back, by why.",
            ["cause"],
            registry=registry,
        )
        self.collected = {one: given.labels(one.value) for one in REMOVALS}
        written = Counter(
            f"k40s_controller_{writes}",
            f"Writes of a {of}'s status.",
            ["outcome"],
            registry=registry,
        )
        self.writes = {one: written.labels(one) for one in WRITES}


class TenantCollectionMetrics(CollectionMetrics):
    """The same of tenants' reservations."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(
            registry,
            collected="tenant_reservations_collected_total",
            writes="tenant_writes_total",
            of="Tenant",
        )


class PreemptionMetrics:
    """Metrics of preemption."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"k40s_controller_preemption_{name}", text, labels, registry=registry)

        waiting = Gauge(
            "k40s_controller_preemption_waiting_pods",
            "Unschedulable LOW and HI pods that preempt nobody for now, by why.",
            ["obstacle"],
            registry=registry,
        )
        self._waiting = {one: waiting.labels(one.value) for one in PreemptionObstacle}
        self.claims = Gauge(
            "k40s_controller_preemption_claims",
            "Pods for which room is claimed.",
            registry=registry,
        )
        plans = counter("plans_total", "Plans asked of the extender.", "answer")
        self.plans = {one: plans.labels(one) for one in PLANS}
        self.begun = counter("begun_total", "Preemptions whose evictions began.")
        evictions = counter("evictions_total", "Evictions asked of the API server.", "outcome")
        self.evictions = {one: evictions.labels(one) for one in EVICTIONS}
        ends = counter(
            "ends_total", "Claims that were withdrawn, by what became of them.", "outcome"
        )
        self.ends = {one: ends.labels(one.value) for one in End}

    def show_waiting(self, obstacles: Count[PreemptionObstacle]) -> None:
        """The obstacles of the last look, by number of pods."""
        for obstacle, shown in self._waiting.items():
            shown.set(obstacles[obstacle])
