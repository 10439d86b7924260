"""``k40s_controller_*``. Labels come from closed sets, and nothing is counted pod by pod."""

from collections import Counter as Count
from enum import StrEnum, unique

from prometheus_client import CollectorRegistry, Counter, Gauge

from k40s.assurance.migration.candidates import Obstacle
from k40s.errors import UnavailableError
from k40s.network.collection import REMOVALS

KINDS = ("nodes", "leases", "pods", "networks")
ANSWERS = ("taken", "refused", "failed")
ENDS = ("evicted", "returned")
WRITES = ("written", "conflict", "failed")


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


class CollectionMetrics:
    """Metrics of the collection of networks' reservations."""

    def __init__(self, registry: CollectorRegistry) -> None:
        collected = Counter(
            "k40s_controller_reservations_collected_total",
            "Reservations of networks given back, by why.",
            ["cause"],
            registry=registry,
        )
        self.collected = {one: collected.labels(one.value) for one in REMOVALS}
        writes = Counter(
            "k40s_controller_network_writes_total",
            "Writes of a Network's status.",
            ["outcome"],
            registry=registry,
        )
        self.writes = {one: writes.labels(one) for one in WRITES}
