"""Begins the move of one pod: asks where it could go, writes the history, then acts."""

import logging
from collections.abc import Mapping, Sequence
from enum import StrEnum

from controller.cluster.nodes import NodeLevel
from controller.cluster.pods import PodView
from controller.events import ControllerEvents
from controller.leadership import Leadership
from controller.metrics import ControllerMetrics, EventReason, Method
from controller.migration.case import Case, read_pod, release
from controller.migration.destination import DestinationFinder, Destinations, NodeOffers
from controller.migration.method import Methods
from controller.migration.ports import Control
from k40s.annotations import MOVES_KEY, format_history
from k40s.assurance.migration.candidates import Obstacle, PlacedPod, destinations
from k40s.assurance.migration.policy import MigrationPolicy
from k40s.assurance.migration.record import History, PastMove
from k40s.errors import K40sError, UnavailableError, UnreadableError
from k40s.kube.objects.managed_pods import ManagedPodRecord
from k40s.kube.records import ObjectRef
from k40s.kube.transport import ConflictError, NotFoundError, TooManyRequestsError
from k40s.kube.writing.evictions import Evictor

log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """What became of an attempt that met no obstacle."""

    BEGUN = "begun"
    """A move began, or may have begun: no other one begins for now."""
    OVERTAKEN = "overtaken"
    """The pod is another one by now, or needs no move: the next look sees it."""


class Beginner:
    """Begins moves, or only says so in a dry run."""

    def __init__(
        self,
        *,
        control: Control,
        evictor: Evictor,
        finder: DestinationFinder,
        leadership: Leadership,
        events: ControllerEvents,
        metrics: ControllerMetrics,
        policy: MigrationPolicy,
        dry_run: bool,
    ) -> None:
        self._control = control
        self._methods = Methods(control)
        self._evictor = evictor
        self._finder = finder
        self._leadership = leadership
        self._events = events
        self._metrics = metrics
        self._policy = policy
        self._dry_run = dry_run
        self._offers = NodeOffers(control)

    def begin(
        self, pod: PlacedPod, level: NodeLevel, view: PodView, history: History, now: int
    ) -> Outcome | Obstacle:
        """Begin the move of this pod, or return what keeps it there."""
        try:
            return self._begin(pod, level, view, history, now)
        except UnreadableError as error:
            log.warning("pod not moved", extra={**_facts(pod), "cause": str(error)})
            return Obstacle.UNREADABLE
        except UnavailableError as error:
            self._metrics.count_failure(error)
            log.warning("pod not moved", extra={**_facts(pod), "cause": str(error)})
            return Obstacle.FAILED

    def _begin(
        self, pod: PlacedPod, level: NodeLevel, view: PodView, history: History, now: int
    ) -> Outcome | Obstacle:
        case = self._look_at(pod, level, view)
        if case is None:
            return Outcome.OVERTAKEN
        offers = self._offers.at(now)
        names = destinations(offers, pod, history, self._policy, now)
        found = self._finder.find(
            case.item, [offers[name] for name in names], view.requested_millis()
        )
        if not found.fit:
            return self._refuse(case, found, names)
        if self._dry_run:
            return self._report_plan(case, found)
        if case.plan.method is Method.EVICT:
            siblings = view.siblings(case.plan.controller.uid, beside=pod.uid)
            obstacle = self._may_evict(case, siblings)
            if obstacle is not None:
                return obstacle
        move = PastMove(at=now, owner=pod.owner, pod=pod.full_name, node=pod.node)
        try:
            # Before the act: a leader that dies in between leaves a move too many in the history.
            moves = format_history(history.plus(move, self._policy))
            self._leadership.annotate({MOVES_KEY: moves})
        except ConflictError:
            return Outcome.OVERTAKEN
        return self._act(case, found, now)

    def _look_at(self, pod: PlacedPod, level: NodeLevel, view: PodView) -> Case | None:
        """The pod as the API server has it now; None if it is no longer the one that was seen."""
        read = read_pod(self._control, pod)
        if read is None:
            return None
        item, record = read
        plan = self._methods.find(record)
        needed = self._policy.thresholds.required(pod.criticality)
        return Case(
            pod=pod,
            item=item,
            record=record,
            plan=plan,
            why=f"node {pod.node} has assurance {level.level} and a {pod.criticality.name} pod "
            f"needs {needed}",
            ready_siblings=view.ready(plan.controller.uid, beside=pod.uid),
        )

    def _refuse(self, case: Case, found: Destinations, names: Sequence[str]) -> Obstacle:
        why = found.describe() if names else "every other node was left lately, or there is none"
        if self._events.add(
            EventReason.NOT_MIGRATED,
            f"{case.why}, but no other node would take it: {why}",
            _reference(case.pod),
            case.plan.about,
            subject=Obstacle.NO_NODE.value,
        ):
            log.info("no node would take the pod", extra={**_facts(case.pod), "cause": why})
        return Obstacle.NO_NODE

    def _report_plan(self, case: Case, found: Destinations) -> Obstacle:
        if self._events.add(
            EventReason.PLANNED,
            f"{case.why}: it would be moved ({case.plan.method.value}) to one of "
            f"{', '.join(found.fit)}; this is a dry run",
            _reference(case.pod),
        ):
            log.info("move planned", extra={**_facts(case.pod), "nodes": list(found.fit)})
        return Obstacle.DRY_RUN

    def _may_evict(self, case: Case, siblings: Sequence[ManagedPodRecord]) -> Obstacle | None:
        if case.ready_siblings < len(siblings):
            return Obstacle.SIBLING
        try:
            pod = case.pod
            self._evictor.evict(pod.namespace, pod.name, uid=pod.uid, dry_run=True)
        except TooManyRequestsError as error:
            self._report_budget(case, error)
            return Obstacle.BUDGET
        except (NotFoundError, ConflictError):
            return Obstacle.FAILED
        return None

    def _report_budget(self, case: Case, error: K40sError) -> None:
        log.warning("eviction refused for now", extra={**_facts(case.pod), "cause": str(error)})
        self._events.add(
            EventReason.NOT_MIGRATED,
            f"{case.why}, but it may not be evicted yet: {error}",
            _reference(case.pod),
            subject=Obstacle.BUDGET.value,
        )

    def _act(self, case: Case, found: Destinations, now: int) -> Outcome | Obstacle:
        try:
            if case.plan.method is Method.SURGE:
                release(self._control, case, now)
            else:
                pod = case.pod
                self._evictor.evict(pod.namespace, pod.name, uid=pod.uid)
        except TooManyRequestsError as error:
            self._report_budget(case, error)
            return Obstacle.BUDGET
        except (NotFoundError, ConflictError) as error:
            log.info("move overtaken", extra={**_facts(case.pod), "cause": str(error)})
            return Outcome.BEGUN
        self._report_begun(case, found.fit)
        return Outcome.BEGUN

    def _report_begun(self, case: Case, fit: Sequence[str]) -> None:
        method, note = case.plan.method, case.plan.note
        self._metrics.moves[method].inc()
        log.info(
            "move begun",
            extra={
                **_facts(case.pod),
                "owner": case.plan.owner,
                "method": method.value,
                "nodes": list(fit),
                "note": note,
            },
        )
        how = (
            "its replacement starts first"
            if method is Method.SURGE
            else f"it is evicted{f' ({note})' if note else ''}"
        )
        self._events.add(
            EventReason.STARTED,
            f"{case.why}: pod {case.pod.name} moves, {how}; {', '.join(fit)} would take it",
            _reference(case.pod),
            case.plan.about,
            ObjectRef(kind="Node", namespace="", name=case.pod.node, uid=case.pod.node),
            subject=case.pod.uid,
        )


def _reference(pod: PlacedPod) -> ObjectRef:
    return ObjectRef(kind="Pod", namespace=pod.namespace, name=pod.name, uid=pod.uid)


def _facts(pod: PlacedPod) -> Mapping[str, object]:
    return {"pod": pod.full_name, "uid": pod.uid, "node": pod.node}
