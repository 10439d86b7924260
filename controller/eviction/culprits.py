"""Evicts culprits that nodes' monitors could not calm: the one gate for it in the cluster.

The order of writes is that of moves: the history first, then the Eviction API. A leader that dies
in between leaves an eviction too many in the history. None is done twice, as each names the UID.
"""

import logging
from collections import Counter
from typing import Protocol

from controller.eviction.requests import CulpritTable, node_pods
from controller.leadership import Leadership, LeaseHistory
from controller.metrics import EventReason, EvictionMetrics
from controller.migration.ports import WatchedCluster
from k40s.annotations import EVICTIONS_KEY, Culprit, format_history, parse_history
from k40s.assurance.eviction import (
    EvictionObstacle,
    EvictionPolicy,
    NodePod,
    find_eviction_obstacle,
    remember,
)
from k40s.assurance.migration.record import History
from k40s.errors import UnavailableError
from k40s.kube.records import ObjectRef
from k40s.kube.transport import ConflictError, NotFoundError, TooManyRequestsError
from k40s.kube.writing.evictions import Evictor
from k40s.units import Clock, Nanoseconds

log = logging.getLogger(__name__)

_ASKED_AGAIN = (EvictionObstacle.BUDGET, EvictionObstacle.FAILED)
"""Obstacles that a request to the API server found: it is not asked again at once."""
_WHY = {
    EvictionObstacle.PROTECTED: "it is a system pod, or cannot be read",
    EvictionObstacle.NOT_LOWER: "no pod of the node is more critical",
    EvictionObstacle.NO_CONTROLLER: "it has no controller that would create another one",
    EvictionObstacle.BOUND_TO_NODE: "its owner keeps one pod on this node",
    EvictionObstacle.PER_NODE: "so many were evicted from this node in the last hour",
    EvictionObstacle.PER_NAMESPACE: "so many of its namespace were evicted in the last hour",
    EvictionObstacle.PER_HOUR: "so many were evicted in the last hour",
    EvictionObstacle.DISABLED: "the controller evicts no culprits (K40S_EVICT_CULPRITS)",
    EvictionObstacle.DRY_RUN: "this is a dry run: it would be evicted",
}


class Events(Protocol):
    """Where events go; implemented by the controller's own."""

    def add(self, reason: EventReason, text: str, *about: ObjectRef, subject: str = "") -> bool:
        """Queue the event on each object; False when one like it was queued lately."""
        ...


class CulpritEvictor:
    """``tick`` is called in one thread; it acts only while this process leads."""

    def __init__(
        self,
        *,
        requests: CulpritTable,
        cluster: WatchedCluster,
        leadership: Leadership,
        evictor: Evictor,
        events: Events,
        metrics: EvictionMetrics,
        policy: EvictionPolicy,
        namespace: str,
        retry: Nanoseconds,
        dry_run: bool,
        now: Clock,
    ) -> None:
        """``namespace`` is k40s's own; ``now`` the wall clock, in nanoseconds since 1970."""
        self._requests = requests
        self._cluster = cluster
        self._leadership = leadership
        self._evictor = evictor
        self._events = events
        self._metrics = metrics
        self._policy = policy
        self._namespace = namespace
        self._retry = retry
        self._dry_run = dry_run
        self._now = now
        self._refused: dict[str, tuple[int, EvictionObstacle]] = {}
        self._history = LeaseHistory(
            leadership,
            EVICTIONS_KEY,
            parse=parse_history,
            write=format_history,
            refused=_report_bad,
        )

    def tick(self) -> None:
        """Look at every request once, and evict one pod at most."""
        if not self._leadership.leading:
            self._metrics.show({})
            return
        asked = self._requests.asked(self._cluster.levels())
        present = {culprit.uid for _, culprit in asked}
        self._refused = {uid: one for uid, one in self._refused.items() if uid in present}
        held: Counter[EvictionObstacle] = Counter()
        for node, culprit in asked:
            obstacle = self._look(node, culprit)
            if obstacle is None:
                break  # one at a time: what follows is seen by the next look
            held[obstacle] += 1
        self._metrics.show(held)

    def _look(self, node: str, culprit: Culprit) -> EvictionObstacle | None:
        """Evict the pod, or return what keeps it there."""
        now = self._now()
        history = self._history.read(History())
        if history is None:
            return EvictionObstacle.FAILED
        if now - culprit.at > self._policy.oldest:
            return EvictionObstacle.STALE
        pods = node_pods(self._cluster.pods(), node, (self._namespace,))
        pod = pods.pop(culprit.uid, None)
        obstacle = find_eviction_obstacle(pod, pods.values(), history, self._policy, now)
        if pod is None:
            return EvictionObstacle.UNKNOWN_POD
        if obstacle is None and not self._policy.enabled:
            obstacle = EvictionObstacle.DISABLED
        if obstacle is None:
            obstacle = self._try(pod, culprit, history, now)
        if obstacle in _WHY:
            self._report_held(pod, obstacle)
        return obstacle

    def _try(
        self, pod: NodePod, culprit: Culprit, history: History, now: int
    ) -> EvictionObstacle | None:
        at, former = self._refused.get(pod.uid, (0, None))
        if former is not None and now - at < self._retry:
            return former
        obstacle = self._evict(pod, culprit, history, now)
        if obstacle in _ASKED_AGAIN and obstacle is not None:
            self._refused[pod.uid] = (now, obstacle)
        return obstacle

    def _evict(
        self, pod: NodePod, culprit: Culprit, history: History, now: int
    ) -> EvictionObstacle | None:
        try:
            self._evictor.evict(pod.namespace, pod.name, uid=pod.uid, dry_run=True)
            if self._dry_run:
                return EvictionObstacle.DRY_RUN
            if not self._remember(remember(history, pod, now)):
                return EvictionObstacle.FAILED
            self._evictor.evict(pod.namespace, pod.name, uid=pod.uid)
        except TooManyRequestsError as error:
            self._report_budget(pod, str(error))
            return EvictionObstacle.BUDGET
        except (NotFoundError, ConflictError):
            return EvictionObstacle.UNKNOWN_POD
        except UnavailableError as error:
            log.warning("culprit not evicted", extra={**_facts(pod), "cause": str(error)})
            return EvictionObstacle.FAILED
        self._report_evicted(pod, culprit)
        return None

    def _remember(self, history: History) -> bool:
        """Write the history; False where this process does not lead any more."""
        try:
            self._history.write(history)
        except ConflictError:
            return False
        return True

    def _report_evicted(self, pod: NodePod, culprit: Culprit) -> None:
        self._metrics.evicted.inc()
        hazards = ", ".join(metric.value for metric in culprit.hazards) or "harm"
        log.warning(
            "culprit evicted",
            extra={
                **_facts(pod),
                "owner": pod.owner,
                "rule": culprit.rule.value,
                "hazards": [metric.value for metric in culprit.hazards],
                "harmed": culprit.harmed,
            },
        )
        self._events.add(
            EventReason.CULPRIT_EVICTED,
            f"pod {pod.name} is evicted from node {pod.node}: its monitor names it as the cause of "
            f"a hazard ({hazards}) that a quota and the freezer did not end for good "
            f"({culprit.rule.value}); the events of the node's monitor have the evidence",
            *_about(pod),
            subject=pod.uid,
        )

    def _report_held(self, pod: NodePod, obstacle: EvictionObstacle) -> None:
        text = f"the monitor of node {pod.node} asks for the eviction of pod {pod.name}, which "
        if self._events.add(
            EventReason.CULPRIT_NOT_EVICTED,
            f"{text}stays: {_WHY[obstacle]}",
            *_about(pod),
            subject=f"{pod.uid} {obstacle.value}",
        ):
            log.warning("culprit stays", extra={**_facts(pod), "obstacle": obstacle.value})

    def _report_budget(self, pod: NodePod, cause: str) -> None:
        log.warning("eviction refused for now", extra={**_facts(pod), "cause": cause})
        self._events.add(
            EventReason.CULPRIT_NOT_EVICTED,
            f"the monitor of node {pod.node} asks for the eviction of pod {pod.name}, which may "
            f"not be evicted yet: {cause}",
            *_about(pod),
            subject=f"{pod.uid} {EvictionObstacle.BUDGET.value}",
        )


def _report_bad(cause: str) -> None:
    log.error("history of evictions refused", extra={"cause": cause})


def _about(pod: NodePod) -> tuple[ObjectRef, ObjectRef]:
    return (
        ObjectRef(kind="Pod", namespace=pod.namespace, name=pod.name, uid=pod.uid),
        ObjectRef(kind="Node", namespace="", name=pod.node, uid=pod.node),
    )


def _facts(pod: NodePod) -> dict[str, object]:
    return {"pod": pod.full_name, "uid": pod.uid, "node": pod.node}
