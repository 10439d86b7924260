"""Finds whom a pod would preempt: the extender's plan, checked again and allowed by budgets."""

import logging
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from controller.cluster.pods import PodView
from controller.cluster.watched_pods import WatchedPod
from controller.extender_client import Outcome, PlanAnswer, PlanSource
from controller.metrics import PreemptionMetrics
from controller.preemption.node_fit import NodeFit
from controller.preemption.ports import Control
from controller.preemption_rules.budgets import Evictable, find_protected
from controller.preemption_rules.candidates import Obstacle, Preemptor
from controller.preemption_rules.victims import Fault, Target, find_fault
from k40s.annotations.preemption import MAX_VICTIMS
from k40s.errors import UnavailableError
from k40s.kube.transport import ConflictError, NotFoundError, TooManyRequestsError
from k40s.kube.writing.evictions import Evictor
from k40s.units import Nanoseconds

log = logging.getLogger(__name__)

_ROUNDS = 8
"""Plans of one pod in one look: each protects victims that may not go."""
_TRIES = 4
"""Connections until a replica is found that knows the pod."""
_RUNNING = "Running"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Where a pod would fit without which others, all of which may go."""

    node: str
    victims: tuple[WatchedPod, ...]

    @property
    def uids(self) -> frozenset[str]:
        """The victims' UIDs."""
        return frozenset(one.record.key for one in self.victims)

    @property
    def grace(self) -> Nanoseconds:
        """The longest grace period of a victim."""
        return max((one.record.grace for one in self.victims), default=Nanoseconds(0))


class Planner:
    """Asks the extender, and changes nothing."""

    def __init__(
        self,
        *,
        source: PlanSource,
        control: Control,
        evictor: Evictor,
        metrics: PreemptionMetrics,
        system: Collection[str],
    ) -> None:
        """``system`` namespaces have no victims."""
        self._source = source
        self._control = control
        self._evictor = evictor
        self._metrics = metrics
        self._system = frozenset(system)
        self._node_fit = NodeFit(control)

    def find(self, pod: Preemptor, view: PodView, taken: Collection[str] = ()) -> Plan | Obstacle:
        """The plan whose victims may all go, or why there is none. ``UnavailableError``.

        Nobody goes from the ``taken`` nodes.
        """
        protected: set[str] = set()
        why = Obstacle.NO_PLAN
        for _ in range(_ROUNDS):
            answer = self._ask(pod, protected)
            if answer.outcome is Outcome.FITS or (
                answer.outcome is Outcome.PLAN and not answer.victims
            ):
                return Obstacle.FITS
            if answer.outcome is Outcome.UNKNOWN:
                return Obstacle.UNKNOWN
            if answer.outcome is Outcome.NONE:
                return why
            victims = [view.pods[one.uid] for one in answer.victims if one.uid in view.pods]
            if len(victims) < len(answer.victims):
                return Obstacle.UNSEEN  # gone by now, or not yet watched
            faulty = self.find_faulty(pod, answer.node, victims)
            if faulty or len(victims) > MAX_VICTIMS:
                protected |= faulty or {one.record.key for one in victims}
                why = Obstacle.NOT_ALLOWED
                continue
            unfit = self._find_unfit(pod, answer.node, victims, view, taken)
            if unfit is not None:
                protected |= {
                    uid for uid, one in view.pods.items() if one.record.pod.node == answer.node
                }
                why = unfit
                continue
            held = self._find_held(victims)
            if not held:
                return Plan(node=answer.node, victims=_in_turn(victims))
            protected |= held
            why = Obstacle.BUDGET
        return why

    def _find_unfit(
        self,
        pod: Preemptor,
        node: str,
        victims: Sequence[WatchedPod],
        view: PodView,
        taken: Collection[str],
    ) -> Obstacle | None:
        """Why nobody is to go from that node for this pod."""
        if node in taken:
            return Obstacle.NODE_BUSY
        uids = {one.record.key for one in victims}
        admitted = self._node_fit.admits(pod, node, uids, view)
        return None if admitted else Obstacle.NODE_UNFIT

    def find_faulty(self, pod: Preemptor, node: str, victims: Sequence[WatchedPod]) -> set[str]:
        """Those that may not go for the pod, whoever says so; each is logged."""
        found = set()
        for one in victims:
            fault = self._find_fault(pod, node, one)
            if fault is not None:
                found.add(one.record.key)
                extra = {
                    "pod": pod.full_name,
                    "uid": pod.uid,
                    "victim": _full_name(one),
                    "node": node,
                    "cause": fault.value,
                }
                log.error("victim not allowed", extra=extra)
        return found

    def _find_fault(self, pod: Preemptor, node: str, victim: WatchedPod) -> Fault | None:
        target = Target(
            uid=victim.record.key,
            namespace=victim.record.pod.namespace,
            node=victim.record.pod.node,
            criticality=victim.criticality,
            static=victim.static,
        )
        return find_fault(
            target,
            preemptor=pod.uid,
            criticality=pod.criticality,
            node=node,
            system=self._system,
        )

    def _ask(self, pod: Preemptor, protected: Collection[str]) -> PlanAnswer:
        try:
            answer = self._source.plan(pod.namespace, pod.name, pod.uid, protected)
            for _ in range(_TRIES - 1):
                if answer.outcome is not Outcome.UNKNOWN:
                    break
                self._source.renew()
                answer = self._source.plan(pod.namespace, pod.name, pod.uid, protected)
        except UnavailableError:
            self._source.renew()
            self._metrics.plans["failed"].inc()
            raise
        self._metrics.plans[answer.outcome.value].inc()
        return answer

    def _find_held(self, victims: Sequence[WatchedPod]) -> set[str]:
        """Those that budgets do not let go: counted together, then each one asked of the API."""
        spaces = sorted({one.record.pod.namespace for one in victims})
        budgets = [budget for space in spaces for budget in self._control.budgets(space)]
        evictable = [
            Evictable(
                uid=one.record.key,
                namespace=one.record.pod.namespace,
                labels=one.record.pod.labels,
                started=one.record.pod.phase == _RUNNING,
                ready=one.record.ready,
            )
            for one in _in_turn(victims)
            if not one.record.pod.deleting
        ]
        held = set(find_protected(evictable, budgets))
        for one in victims:
            pod = one.record.pod
            if pod.uid in held or pod.deleting:
                continue
            try:
                self._evictor.evict(pod.namespace, pod.name, uid=pod.uid, dry_run=True)
            except TooManyRequestsError:
                held.add(pod.uid)
            except (NotFoundError, ConflictError):
                continue  # it is gone: the plan needs nothing of it
        return held


def describe(victims: Sequence[WatchedPod]) -> str:
    """How many pods of which criticality, in constant words."""
    counted = Counter(one.criticality.name for one in victims if one.criticality is not None)
    return ", ".join(f"{number} {name}" for name, number in sorted(counted.items()))


def _in_turn(victims: Sequence[WatchedPod]) -> tuple[WatchedPod, ...]:
    """The least critical first: so a budget that lets some go keeps the more critical ones."""
    return tuple(sorted(victims, key=lambda one: (one.criticality or 0, _full_name(one))))


def _full_name(one: WatchedPod) -> str:
    return f"{one.record.pod.namespace}/{one.record.pod.name}"
