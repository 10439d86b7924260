"""One look at the cluster: finish moves that have begun, then begin at most one."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from controller.cluster.nodes import NodeLevel, known_levels
from controller.cluster.pods import PodView
from controller.events import ControllerEvents
from controller.leadership import Leadership, LeaseHistory
from controller.metrics import ControllerMetrics, EventReason
from controller.migration.begin import Beginner, Outcome
from controller.migration.ports import WatchedCluster
from controller.migration.releases import Releases
from k40s.annotations import MOVES_KEY, format_history, parse_history
from k40s.assurance.migration.candidates import (
    Insufficient,
    Obstacle,
    PlacedPod,
    find_limit,
    find_obstacle,
    order,
    track,
)
from k40s.assurance.migration.policy import MigrationPolicy
from k40s.assurance.migration.progress import busy_owners, is_settling
from k40s.assurance.migration.record import History
from k40s.kube.records import ObjectRef
from k40s.units import Clock, Nanoseconds

log = logging.getLogger(__name__)

_MOST_ASKED = 8
"""Pods whose destination is looked for in one look: each costs requests."""
_LASTING = {
    Obstacle.NO_CONTROLLER: "it has no controller that would create another one",
    Obstacle.DAEMON_SET: "its DaemonSet keeps one pod on this node",
    Obstacle.STATIC: "it is a static pod of this node",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look saw."""

    levels: Mapping[str, NodeLevel]
    view: PodView
    history: History
    now: int
    busy: frozenset[str]
    """Owners none of whose pods is released now."""


class Migrator:
    """``tick`` is called once a second, in one thread; it acts only while this process leads."""

    def __init__(
        self,
        *,
        cluster: WatchedCluster,
        leadership: Leadership,
        releases: Releases,
        beginner: Beginner,
        events: ControllerEvents,
        metrics: ControllerMetrics,
        policy: MigrationPolicy,
        retry: Nanoseconds,
        dry_run: bool,
        now: Clock,
    ) -> None:
        """``now`` is the wall clock, in nanoseconds since 1970."""
        self._cluster = cluster
        self._leadership = leadership
        self._releases = releases
        self._beginner = beginner
        self._events = events
        self._metrics = metrics
        self._policy = policy
        self._retry = retry
        self._dry_run = dry_run
        self._now = now
        self._insufficient: Insufficient = {}
        self._refused: dict[str, tuple[int, Obstacle]] = {}
        self._asked: dict[str, int] = {}
        self._history = LeaseHistory(
            leadership, MOVES_KEY, parse=parse_history, write=format_history, refused=_report_bad
        )

    def tick(self) -> None:
        """Look once. What is seen counts in every replica, so that a new leader knows it."""
        levels, view, now = self._cluster.levels(), self._cluster.pods(), self._now()
        self._insufficient = track(
            self._insufficient, known_levels(levels), self._policy.thresholds, now
        )
        leading = self._leadership.leading
        self._metrics.leader.set(leading)
        self._refused = {
            uid: (at, why)
            for uid, (at, why) in self._refused.items()
            if uid in view.pods and now - at < self._retry
        }
        endangered = order(view.placed, self._insufficient)
        self._metrics.endangered.set(len(endangered))
        if not leading:
            self._metrics.show_held(Counter())
            return
        self._report_unknown(levels, view)
        in_progress = False if self._dry_run else self._releases.advance(view)
        history = self._history.read(History())
        if history is not None:
            moves = (one.release for one in view.pods.values() if not one.record.pod.deleting)
            busy = busy_owners(filter(None, moves), self._policy, now)
            look = Look(levels=levels, view=view, history=history, now=now, busy=busy)
            self._begin(endangered, look, in_progress=in_progress)

    def _begin(self, endangered: list[PlacedPod], look: Look, *, in_progress: bool) -> None:
        last = look.history.moves[-1] if look.history.moves else None
        in_progress = in_progress or (
            last is not None
            and is_settling(
                last, settled=look.view.is_settled(last.owner), policy=self._policy, now=look.now
            )
        )
        limit = find_limit(look.history, self._policy, look.now, in_progress=in_progress)
        held: Counter[Obstacle] = Counter()
        asked = 0
        for pod in self._in_turn(endangered):
            obstacle = self._find_obstacle(pod, look) or limit
            if obstacle is None and asked < _MOST_ASKED:
                asked += 1
                self._asked[pod.uid] = look.now
                outcome = self._beginner.begin(
                    pod, look.levels[pod.node], look.view, look.history, look.now
                )
                if outcome is Outcome.BEGUN:
                    limit = Obstacle.IN_PROGRESS
                    continue
                if isinstance(outcome, Obstacle):
                    obstacle = outcome
                    self._refused[pod.uid] = (look.now, obstacle)
                    if obstacle is Obstacle.FAILED:  # the others would wait for the same timeout
                        asked = _MOST_ASKED
            if obstacle is not None:
                held[obstacle] += 1
                self._report_lasting(pod, look, obstacle)
        self._metrics.show_held(held)

    def _in_turn(self, endangered: list[PlacedPod]) -> list[PlacedPod]:
        """The ones that were asked for longest ago first: many whom nobody takes starve nobody."""
        self._asked = {one.uid: self._asked.get(one.uid, 0) for one in endangered}
        return sorted(endangered, key=lambda pod: self._asked[pod.uid])

    def _find_obstacle(self, pod: PlacedPod, look: Look) -> Obstacle | None:
        found = find_obstacle(pod, self._insufficient, look.history, self._policy, look.now)
        if found is None and pod.owner in look.busy:
            return Obstacle.OWNER_COOLDOWN
        if found is None and pod.uid in self._refused:
            return self._refused[pod.uid][1]
        return found

    def _report_lasting(self, pod: PlacedPod, look: Look, obstacle: Obstacle) -> None:
        if not obstacle.lasting:
            return
        level = look.levels[pod.node].level
        needed = self._policy.thresholds.required(pod.criticality)
        self._events.add(
            EventReason.NOT_MIGRATED,
            f"node {pod.node} has assurance {level} and a {pod.criticality.name} pod needs "
            f"{needed}, but it is not moved: {_LASTING[obstacle]}",
            look.view.pods[pod.uid].reference,
            subject=obstacle.value,
        )

    def _report_unknown(self, levels: Mapping[str, NodeLevel], view: PodView) -> None:
        """A silent daemon's node takes no new pods; what runs there stays."""
        here: dict[str, list[ObjectRef]] = {}
        for pod in view.placed:
            here.setdefault(pod.node, []).append(view.pods[pod.uid].reference)
        unknown = sorted(name for name in here if name in levels and levels[name].level is None)
        self._metrics.silent.set(len(unknown))
        for name in unknown:
            reason = levels[name].reason
            text = f"{reason.value}: {reason.text}" if reason is not None else "unknown"
            self._events.add(
                EventReason.UNKNOWN,
                f"the level of node {name} is unknown ({text}): it takes no new LOW or HI pods; "
                f"{len(here[name])} that run there keep running, and none is moved",
                _node(name),
                *here[name],
                subject="assurance",
            )
        self._report_cpu_silent(levels, view)

    def _report_cpu_silent(self, levels: Mapping[str, NodeLevel], view: PodView) -> None:
        silent = {name for name, one in levels.items() if one.cpu_silent}
        here: dict[str, list[ObjectRef]] = {}
        for one in view.pods.values() if silent else ():
            if one.real_time and one.record.pod.node in silent:
                here.setdefault(one.record.pod.node, []).append(one.reference)
        for name, pods in sorted(here.items()):
            self._events.add(
                EventReason.UNKNOWN,
                f"rubicante on node {name} is silent: it takes no new real-time pods; "
                f"{len(pods)} that run there keep running, and none is moved",
                _node(name),
                *pods,
                subject="cpu",
            )


def _report_bad(cause: str) -> None:
    log.error("history of moves refused", extra={"cause": cause})


def _node(name: str) -> ObjectRef:
    return ObjectRef(kind="Node", namespace="", name=name, uid=name)
