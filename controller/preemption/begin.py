"""Claims a node's room for a pod: the first write of a preemption, before anybody is evicted."""

import logging
from collections.abc import Mapping

from controller.cluster.pods import PodView
from controller.cluster.watched_pods import WatchedPod
from controller.events import ControllerEvents
from controller.metrics import EventReason
from controller.preemption.planner import Plan, Planner, describe
from controller.preemption.ports import Control
from controller.preemption.subject import read_live, reference
from controller.preemption_rules.candidates import Obstacle, Preemptor, find_limit
from controller.preemption_rules.policy import LONGEST_CLAIM, PreemptionPolicy
from k40s.annotations import Claim, Victim, format_claim
from k40s.annotations.preemption_history import PreemptionHistory
from k40s.errors import UnavailableError
from k40s.kube.transport import ConflictError, NotFoundError
from k40s.units import NS_PER_S, Clock

log = logging.getLogger(__name__)

_WAITS = 60 * NS_PER_S
"""Nanoseconds for which a busy node is waited for although another one would do, at a higher price.

A victim's grace period is its author's to choose, so a node may be busy for an hour.
"""
_NO_NODE = "-"
"""No node has such a name."""
_TOLD = {
    Obstacle.BUDGET: "PodDisruptionBudgets keep the less critical pods that it would need to go",
    Obstacle.NODE_UNFIT: "the node where they would go takes no such pod at present",
    Obstacle.NOT_ALLOWED: "the less critical pods that it would need to go may not be evicted",
    Obstacle.PER_HOUR: "as many pods were evicted in the last hour as may be, in the cluster",
    Obstacle.NAMESPACE: "as many pods were evicted in the last hour as may be, for its namespace",
    Obstacle.RESTING: "it preempted others lately and did not get its place",
}
"""Obstacles of which the pod's owner is told."""


class Beginner:
    """Writes claims, or only says so in a dry run."""

    def __init__(
        self,
        *,
        control: Control,
        planner: Planner,
        events: ControllerEvents,
        policy: PreemptionPolicy,
        dry_run: bool,
        now: Clock,
    ) -> None:
        self._control = control
        self._planner = planner
        self._events = events
        self._policy = policy
        self._dry_run = dry_run
        self._now = now

    def begin(
        self, pod: Preemptor, view: PodView, history: PreemptionHistory, busy: Mapping[str, int]
    ) -> str | Obstacle:
        """Claim room for this pod on a node, whose name is returned, or say what keeps it.

        ``busy`` nodes are claimed already, since then (ns since 1970).
        """
        try:
            found = self._begin(pod, view, history, busy)
        except UnavailableError as error:
            extra = {"pod": pod.full_name, "uid": pod.uid, "cause": str(error)}
            log.warning("preemption not begun", extra=extra)
            return Obstacle.FAILED
        if isinstance(found, Obstacle):
            self.report(pod, found)
        return found

    def recall(self, pod: Preemptor) -> None:
        """Have kube-scheduler ask the extender about a pod again, whose answers are forgotten.

        A claim that is over already holds no room, and is withdrawn at the next look. Either write
        is a change of the pod, at which its scheduler tries it again.
        """
        if self._dry_run:
            return
        now = self._now()
        over = Claim(node=_NO_NODE, at=now, until=now)
        try:
            current = self._look_at(pod)
            if current is not None:
                self._write(pod, current, over)
        except (ConflictError, NotFoundError):
            return
        except UnavailableError as error:
            extra = {"pod": pod.full_name, "uid": pod.uid, "cause": str(error)}
            log.warning("preemption not begun", extra=extra)
        else:
            log.info("pod recalled", extra={"pod": pod.full_name, "uid": pod.uid})

    def report(self, pod: Preemptor, obstacle: Obstacle) -> None:
        """Tell the pod's owner, where the obstacle is for people."""
        if obstacle not in _TOLD:
            return
        text = (
            f"no node would take it, and it preempts nobody: {_TOLD[obstacle]}; "
            f"node by node: k40s explain {pod.name} -n {pod.namespace}"
        )
        if self._events.add(
            EventReason.NOT_PREEMPTING, text, reference(pod), subject=obstacle.value
        ):
            extra = {"pod": pod.full_name, "uid": pod.uid, "cause": obstacle.value}
            log.info("pod preempts nobody", extra=extra)

    def _begin(
        self, pod: Preemptor, view: PodView, history: PreemptionHistory, busy: Mapping[str, int]
    ) -> str | Obstacle:
        long_ago = self._now() - _WAITS
        taken = {node for node, since in busy.items() if since <= long_ago}
        plan = self._planner.find(pod, view, taken)
        if isinstance(plan, Obstacle):
            return plan
        if plan.node in busy:
            return Obstacle.NODE_BUSY
        victims = len(plan.victims)
        limit = find_limit(pod, history, self._policy, self._now(), victims=victims)
        if limit is not None:
            return limit
        if self._dry_run:
            return self._report_plan(pod, plan)
        current = self._look_at(pod)
        if current is None:
            return Obstacle.OVERTAKEN
        return self._claim(pod, plan, current)

    def _look_at(self, pod: Preemptor) -> WatchedPod | None:
        """The pod as the API server has it now; None if it needs no room any more."""
        current = read_live(self._control, pod.namespace, pod.name)
        if current is None or current.claiming or current.criticality is not pod.criticality:
            return None
        record = current.record
        pending = record.unschedulable and not (record.pod.node or record.pod.deleting)
        return current if record.key == pod.uid and pending else None

    def _claim(self, pod: Preemptor, plan: Plan, current: WatchedPod) -> str | Obstacle:
        now = self._now()
        claim = Claim(
            node=plan.node,
            at=now,
            until=now + min(plan.grace + self._policy.claim, LONGEST_CLAIM),
            victims=tuple(
                Victim(
                    namespace=one.record.pod.namespace,
                    name=one.record.pod.name,
                    uid=one.record.key,
                )
                for one in plan.victims
            ),
        )
        try:
            self._write(pod, current, claim)
        except (ConflictError, NotFoundError):
            return Obstacle.OVERTAKEN
        extra = {"pod": pod.full_name, "uid": pod.uid, "node": plan.node}
        log.info("room claimed", extra=extra | {"victims": describe(plan.victims)})
        return plan.node

    def _write(self, pod: Preemptor, current: WatchedPod, claim: Claim) -> None:
        self._control.set_claim(
            pod.namespace,
            pod.name,
            uid=pod.uid,
            resource_version=current.record.pod.resource_version,
            claim=format_claim(claim),
        )

    def _report_plan(self, pod: Preemptor, plan: Plan) -> Obstacle:
        if self._events.add(
            EventReason.PREEMPTION_PLANNED,
            f"it would preempt less critical pods on node {plan.node} "
            f"({describe(plan.victims)}); this is a dry run",
            reference(pod),
        ):
            names = [f"{one.record.pod.namespace}/{one.record.pod.name}" for one in plan.victims]
            extra = {"pod": pod.full_name, "uid": pod.uid, "node": plan.node, "victims": names}
            log.info("preemption planned", extra=extra)
        return Obstacle.DRY_RUN
