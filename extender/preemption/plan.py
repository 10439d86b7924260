"""Whom a pod may displace, and where.

A victim is of strictly lower criticality, no pod of the system, not ending already and not
protected. Pods that are ending count as gone. Nodes are searched side by side, by the highest
criticality among the victims and their number; among equals the least bandwidth given back decides,
then the better assurance score, then the name.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from extender.cache.bound_pods import BoundPod, BoundPods
from extender.cache.nodes import NodeCache
from extender.cache.snapshot import NodeView, Snapshot
from extender.placement.candidates import split_by_assurance
from extender.placement.pod_admission import PodAdmission
from extender.preemption.choice import IsLate, NodeSearch, find_best, settle_for
from extender.preemption.search import Candidate, Victims, VictimSearch
from extender.preemption.trial import Applicant, Trials
from extender.preemption.whole_states import WholeStates, merge
from extender.scheduler_calls import SchedulerCalls
from k40s.annotations import UID_LENGTH
from k40s.annotations.preemption import MAX_VICTIMS
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, Clock, Nanoseconds

Uids = frozenset[str]
PLAN_TIMES = 4
"""A plan may take so many times as long as the guard: nobody waits for it but the controller."""
EXACT_TIMES = 3
"""Of these, so many are for the search for the least victims, the rest for any that will do."""
LONGEST_WAIT = Nanoseconds(20 * NS_PER_MS)
"""How long a plan gives way between two of its steps; in all for half of its time at most."""


class PlanOutcome(StrEnum):
    """What a plan says; a metric's label."""

    PLAN = "plan"
    """The node has room once the victims are gone."""
    FITS = "fits"
    """There is room already, or will be when those are gone that are ending."""
    NONE = "none"
    """No node would have room, or none was found in time."""
    UNKNOWN = "unknown"
    """This process has not refused the pod on every node; another one may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``node`` is "" where there is none."""

    outcome: PlanOutcome
    node: str = ""
    victims: tuple[BoundPod, ...] = ()


class Preemption:
    """Any thread may call."""

    def __init__(
        self,
        *,
        cache: NodeCache,
        pods: BoundPods,
        admission: PodAdmission,
        trials: Trials,
        states: WholeStates,
        calls: SchedulerCalls,
        clock: Clock,
        patience: Nanoseconds,
    ) -> None:
        """``admission`` is filter's, without its counters; ``patience`` bounds a call.

        A plan gives way to ``calls``.
        """
        self._cache = cache
        self._pods = pods
        self._admission = admission
        self._trials = trials
        self._states = states
        self._calls = calls
        self._clock = clock
        self._patience = patience

    def plan(self, asked: Applicant, names: Sequence[str], protected: Collection[str] = ()) -> Plan:
        """The least set of victims among these nodes."""
        end = self._timer(times=PLAN_TIMES, gives_way=True)
        late = self._timer(times=EXACT_TIMES, gives_way=True)
        snapshot = self._cache.snapshot()
        known = [name for name in names if name in snapshot.nodes]
        if self._fits_anywhere(snapshot, asked, known):
            return Plan(outcome=PlanOutcome.FITS)
        open_nodes = split_by_assurance(snapshot, known, asked.workload.criticality).fit
        whole = self._ask_crowded(asked, open_nodes)
        snapshot = merge(snapshot, whole)
        searches = []
        for name in open_nodes:
            if late():
                return Plan(outcome=PlanOutcome.NONE)
            gone = self._leaving(name)
            search = self._search(snapshot, name, asked, gone, protected)
            retried = gone or name in whole  # filter has not seen it like this
            if retried and search.trial.may_fit() and search.trial.fits():
                return Plan(outcome=PlanOutcome.FITS, node=name)
            searches.append(search)
        criticality = asked.workload.criticality
        choice = find_best(snapshot, searches, criticality, late)
        if choice is None and late():
            choice = settle_for(snapshot, searches, criticality, end)
        if choice is None:
            return Plan(outcome=PlanOutcome.NONE)
        return self._planned(choice.node, choice.victims)

    def complete(self, asked: Applicant, victims: dict[str, Uids]) -> dict[str, Uids]:
        """The least victims of each node that include those given, for nodes that would then fit.

        A node is missing where a given pod may not be a victim, where no set is enough, where
        nobody would have to go, and where time is up.
        """
        late = self._timer()
        snapshot = self._cache.snapshot()
        snapshot = merge(snapshot, self._states.known(snapshot, victims))
        completed = {}
        for name, given in victims.items():
            if late() or name not in snapshot.nodes:
                continue
            if not self._may_be_victims(name, given, asked.workload.criticality):
                continue
            gone = self._leaving(name)
            search = self._search(snapshot, name, asked, gone | given, ())
            if search.trial.fits():
                more: Victims | None = ()
            else:
                more = search.search.least(late=late)
            if more is not None and (given or more):
                completed[name] = given | {one.uid for one in more}
        return completed

    def awaits_room(self, asked: Applicant, names: Sequence[str]) -> bool:
        """Whether one of the nodes refuses the pod, and takes it once those leave that are leaving.

        What fits at present is refused by others than k40s.
        """
        snapshot = self._cache.snapshot()
        late = self._timer()
        known = [name for name in names if name in snapshot.nodes]
        leaving = {name: gone for name in known if (gone := self._leaving(name))}
        split = self._admission.split(
            snapshot, list(leaving), asked.pod, asked.contract, asked.workload
        )
        snapshot = merge(snapshot, self._states.known(snapshot, split.refused))
        for name in split.refused:
            trial = self._trials.on(snapshot, name, asked, leaving[name])
            if not late() and trial.may_fit() and trial.fits():
                return True
        return False

    def _timer(self, *, times: int = 1, gives_way: bool = False) -> IsLate:
        patience = times * self._patience
        deadline = self._clock() + patience
        left = patience // 2 if gives_way else 0

        def is_late() -> bool:
            nonlocal left
            now = self._clock()
            if left > 0 and self._calls.wait(Nanoseconds(min(left, LONGEST_WAIT))):
                left -= self._clock() - now
                now = self._clock()
            return now >= deadline

        return is_late

    def _fits_anywhere(self, snapshot: Snapshot, asked: Applicant, names: Sequence[str]) -> bool:
        split = self._admission.split(snapshot, names, asked.pod, asked.contract, asked.workload)
        return bool(split.fit)

    def _ask_crowded(self, asked: Applicant, names: Sequence[str]) -> dict[str, NodeView]:
        """Nodes that publish sums alone, with their reservations, where somebody may have to go."""
        if not asked.workload.is_real_time:
            return {}
        criticality = asked.workload.criticality
        worth = [
            name
            for name in names
            if self._leaving(name) or any(is_below(pod, criticality) for pod in self._pods.on(name))
        ]
        return self._states.find(self._cache.snapshot, worth, self._clock() + self._patience)

    def _leaving(self, node: str) -> Uids:
        """The pods that have left the node a moment ago, or are ending there."""
        ending = self._pods.ending_on(node)
        staying = {pod.uid[:UID_LENGTH] for pod in self._pods.on(node) if not pod.deleting}
        return frozenset(
            uid for uid in (*ending, *self._pods.gone_from(node)) if uid[:UID_LENGTH] not in staying
        )

    def _may_be_victims(self, node: str, uids: Uids, criticality: Criticality) -> bool:
        """Whether they are known there, and nobody else's reservation looks like theirs."""
        here = self._pods.on(node)
        named = [pod for pod in here if pod.uid in uids and is_below(pod, criticality)]
        others = {pod.uid[:UID_LENGTH] for pod in here if pod.uid not in uids}
        return len(named) == len(uids) and others.isdisjoint(uid[:UID_LENGTH] for uid in uids)

    def _search(
        self,
        snapshot: Snapshot,
        name: str,
        asked: Applicant,
        gone: Uids,
        protected: Collection[str],
    ) -> NodeSearch:
        trial = self._trials.on(snapshot, name, asked, gone)
        candidates = []
        here = self._pods.on(name)
        prefixes = [pod.uid[:UID_LENGTH] for pod in here]
        for pod in here:
            held = trial.held_by(pod.uid)
            if (
                held is not None
                and pod.criticality is not None
                and is_below(pod, asked.workload.criticality)
                and not pod.deleting
                and pod.uid not in gone
                and pod.uid not in protected
                and prefixes.count(pod.uid[:UID_LENGTH]) == 1
            ):
                candidates.append(
                    Candidate(uid=pod.uid, criticality=pod.criticality, bandwidth=held)
                )
        search = VictimSearch(
            sorted(candidates, key=_least_first)[:MAX_VICTIMS],
            lacking=trial.lacking(),
            may_fit=trial.may_fit,
            fits=trial.fits,
        )
        return NodeSearch(name=name, trial=trial, search=search)

    def _planned(self, node: str, victims: Victims) -> Plan:
        pods = tuple(pod for one in victims if (pod := self._pods.find(one.uid)) is not None)
        if len(pods) < len(victims):  # one of them is gone meanwhile
            return Plan(outcome=PlanOutcome.FITS, node=node)
        return Plan(outcome=PlanOutcome.PLAN, node=node, victims=pods)


def _least_first(one: Candidate) -> tuple[Criticality, Fraction, str]:
    """Of too many candidates those that are tried first, and give back most."""
    return one.criticality, -one.bandwidth, one.uid


def is_below(pod: BoundPod, criticality: Criticality) -> bool:
    """Whether a pod of that criticality may displace this one."""
    return pod.criticality is not None and pod.criticality < criticality and not pod.system
