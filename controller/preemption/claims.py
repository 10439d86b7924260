"""Claims that stand: their victims are evicted, and each claim is withdrawn in the end.

All that is needed is in the claim, on the pod itself, and in the history on the controller's Lease,
so that the next leader goes on where this one stopped. Every step can be repeated: an eviction is
of one UID, a change of one version.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from controller.cluster.pods import PodView
from controller.cluster.watched_pods import WatchedPod
from controller.metrics import PreemptionMetrics
from controller.preemption.evict import VictimEvictor
from controller.preemption.past import Past
from controller.preemption.planner import Plan, Planner
from controller.preemption.ports import Control
from controller.preemption.recalls import Recalls
from controller.preemption.reports import Reports
from controller.preemption.subject import as_preemptor, read_live
from controller.preemption_rules.candidates import Obstacle, find_limit
from controller.preemption_rules.policy import PreemptionPolicy
from controller.preemption_rules.progress import End, Step, find_end, find_step
from k40s.annotations import Claim
from k40s.annotations.preemption_history import PastPreemption, PreemptionHistory
from k40s.errors import UnavailableError
from k40s.kube.transport import ConflictError, NotFoundError
from k40s.units import NS_PER_MS, NS_PER_S, Clock

SHOWN_WITHIN = 5 * NS_PER_S
"""The watch shows what this process has written after so long at the latest, or it is repeated."""

_AGAIN = 500 * NS_PER_MS
"""Until it is looked again whether a plan still stands of which that could not be said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """What this process has withdrawn, and the watch has yet to show."""

    at: int
    claim: Claim | None


class Claims:
    """Advances all claims. One thread."""

    def __init__(
        self,
        *,
        control: Control,
        planner: Planner,
        evictor: VictimEvictor,
        past: Past,
        reports: Reports,
        metrics: PreemptionMetrics,
        policy: PreemptionPolicy,
        enabled: bool,
        now: Clock,
    ) -> None:
        """Not ``enabled``, claims are withdrawn and nobody is evicted."""
        self._control = control
        self._planner = planner
        self._evictor = evictor
        self._past = past
        self._reports = reports
        self._metrics = metrics
        self._policy = policy
        self._enabled = enabled
        self._now = now
        self._withdrawn: dict[str, Withdrawal] = {}
        self._looked: dict[str, int] = {}
        self._recalls = Recalls(control=control, now=now)

    def advance(self, view: PodView) -> Mapping[str, End]:
        """Take the next step of every claim; returns the claims withdrawn, by pod."""
        claiming = view.claiming
        now = self._now()
        self._metrics.claims.set(len(claiming))
        self._withdrawn = {
            uid: one for uid, one in self._withdrawn.items() if 0 <= now - one.at < SHOWN_WITHIN
        }
        self._looked = {uid: at for uid, at in self._looked.items() if 0 <= now - at < _AGAIN}
        self._recalls.keep_only(view.pods)
        self._evictor.keep_only(view.pods)
        ended: dict[str, End] = {}
        for one in claiming:
            try:
                end = self._advance(one, view)
            except UnavailableError as error:
                self._reports.failed(one, error)
                continue
            if end is not None:
                ended[one.record.key] = end
        return ended

    def _advance(self, one: WatchedPod, view: PodView) -> End | None:
        pod, claim = one.record.pod, one.claim
        written = self._withdrawn.get(pod.uid)
        if written is not None and written.claim == claim:
            return None
        history = self._past.read(PreemptionHistory())
        if history is None:
            return None
        begun = claim is not None and history.has(pod.uid, claim.at)
        there = {} if claim is None else _remaining(claim, view)
        end = find_end(
            claim,
            node=pod.node,
            wanted=not (pod.deleting or pod.ended),
            enabled=self._enabled,
            begun=begun,
            remaining=len(there),
            policy=self._policy,
            now=self._now(),
        )
        if end is not None or claim is None:
            end = end or End.INVALID
            intact = claim is not None and end is End.EXPIRED and not _has_gone(claim, there)
            return self._withdraw(one, end, history, intact=intact)
        untouched = [victim for victim in there.values() if not victim.record.pod.deleting]
        step = find_step(
            claim, begun=begun, untouched=len(untouched), policy=self._policy, now=self._now()
        )
        if step is Step.BEGIN and pod.uid not in self._looked:
            self._looked[pod.uid] = self._now()
            return self._begin(one, claim, view, history)
        if step is Step.EVICT:
            self._evictor.evict(one, claim, untouched)
        elif begun and not there:
            self._recalls.recall(one, claim)
        return None

    def _begin(
        self, one: WatchedPod, claim: Claim, view: PodView, history: PreemptionHistory
    ) -> End | None:
        """Look once more whether all of it still stands, write it down, then evict."""
        pod = one.record.pod
        live = read_live(self._control, pod.namespace, pod.name)
        if live is None or live.record.key != pod.uid or live.claim != claim:
            return None  # the watch shows it soon
        if live.record.pod.node or live.record.pod.deleting:
            return None
        plan = self._find_plan(live, claim, view, history)
        if isinstance(plan, End):
            return self._withdraw(live, plan, history)
        if plan is None:
            return None
        entry = PastPreemption(
            at=claim.at, uid=pod.uid, namespace=pod.namespace, victims=len(claim.victims)
        )
        try:
            self._past.write(history.plus(entry))
        except ConflictError:
            return None
        self._reports.begun(one, claim, plan.victims)
        self._evictor.evict(one, claim, plan.victims)
        return None

    def _find_plan(
        self, live: WatchedPod, claim: Claim, view: PodView, history: PreemptionHistory
    ) -> Plan | End | None:
        """The plan as it is made now; why the claim is to be withdrawn; None to ask again soon."""
        preemptor = as_preemptor(live)
        if preemptor is None:
            return End.UNNEEDED
        others = {one.claim.node for one in view.claiming if one.claim not in (None, claim)}
        plan = self._planner.find(preemptor, view, others - {claim.node})
        if isinstance(plan, Obstacle):
            end = End.UNNEEDED if plan is Obstacle.FITS else End.STALE
            return None if plan.passing else end
        if not _stands(plan, claim, view):
            return End.STALE
        victims = len(plan.victims)
        limit = find_limit(preemptor, history, self._policy, self._now(), victims=victims)
        return plan if limit is None else None if limit.passing else End.STALE

    def _withdraw(
        self, one: WatchedPod, end: End, history: PreemptionHistory, *, intact: bool = False
    ) -> End | None:
        """``intact``: none of the victims has gone, so no limit counts them."""
        pod, claim = one.record.pod, one.claim
        try:
            if claim is not None and intact and history.has(pod.uid, claim.at):
                self._past.write(history.without(pod.uid, claim.at))
            self._control.set_claim(
                pod.namespace,
                pod.name,
                uid=pod.uid,
                resource_version=pod.resource_version,
                claim=None,
            )
        except (ConflictError, NotFoundError):
            return None  # it is gone, or the watch shows another version soon
        self._withdrawn[pod.uid] = Withdrawal(at=self._now(), claim=claim)
        self._reports.ended(one, claim, end, self._now())
        return end


def _remaining(claim: Claim, view: PodView) -> dict[str, WatchedPod]:
    """Victims that are still there, those that are ending among them."""
    found = {}
    for victim in claim.victims:
        watched = view.pods.get(victim.uid)
        if watched is not None and not watched.record.pod.ended:
            found[victim.uid] = watched
    return found


def _has_gone(claim: Claim, there: Mapping[str, WatchedPod]) -> bool:
    """Whether a victim is gone or ending."""
    return len(there) < len(claim.victims) or any(one.record.pod.deleting for one in there.values())


def _stands(plan: Plan, claim: Claim, view: PodView) -> bool:
    """Whether a plan made now needs just the victims of the claim that are still to go."""
    waiting = {uid for uid, one in _remaining(claim, view).items() if not one.record.pod.deleting}
    return plan.node == claim.node and plan.uids == waiting
