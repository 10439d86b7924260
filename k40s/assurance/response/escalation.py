"""Chooses the step against a hazard that lasts: one step on one pod, judged before the next."""

from dataclasses import dataclass, replace

from k40s.assurance.response.acts import Act, Cause, Hold, Reason, Step, do_step
from k40s.assurance.response.policy import Block, Hazard, ResponsePolicy
from k40s.assurance.response.state import (
    Asked,
    Case,
    Release,
    ResponseState,
    Taken,
    ask,
    put_case,
    release_case,
)
from k40s.assurance.suspects.verdict import Finding, Verdict
from k40s.units import Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a step is chosen by. ``finding`` is None while no alarm is active.

    ``ending`` are pods that are being deleted.
    """

    policy: ResponsePolicy
    at: Nanoseconds
    hazard: Hazard
    finding: Finding | None
    ending: frozenset[str] = frozenset()

    def reason(self, cause: Cause) -> Reason:
        """The reason for an act, with the evidence."""
        return Reason(
            cause=cause,
            metrics=self.hazard.metrics,
            harm=self.hazard.harm,
            finding=self.finding,
        )


def respond(state: ResponseState, now: Situation) -> Asked:
    """The next step, when the last one has had its time to show."""
    policy = now.policy
    wait = policy.reconsider_by_alarm if now.hazard.harmed is None else policy.reconsider
    if any(now.at - case.acted < wait for case in state.cases) or not policy.rungs:
        return state, ()
    release = _relapsed(state, now)
    if release is not None:
        return _step_after_relapse(state, now, release)
    named = _named(state, now.finding)
    if named is not None:
        first = policy.rungs[0].step
        hold = Hold(uid=named[0], pod=named[1], steps=(), reached=first)
        case = Case(hold=hold, since=now.at, acted=now.at)
        return _take(state, now, case, first, Cause.NAMED)
    return _escalate(state, now)


def _named(state: ResponseState, finding: Finding | None) -> tuple[str, str] | None:
    if finding is None or finding.verdict is not Verdict.NAMED or finding.culprit is None:
        return None
    culprit = finding.culprit
    return None if culprit.uid in state.held | state.cleared else (culprit.uid, culprit.name)


def _relapsed(state: ResponseState, now: Situation) -> Release | None:
    """The release that brought the hazard back, if one did."""
    if not state.releases:
        return None
    last = state.releases[-1]
    if now.finding is None:
        at_once = now.at - last.at <= now.policy.at_once
        return last if now.hazard.harmed and at_once else None
    if now.finding.verdict is Verdict.NO_BASELINE:
        return last
    named = _named(state, now.finding)
    again = (release for release in state.releases if named and release.hold.uid == named[0])
    return next(again, None)


def _step_after_relapse(state: ResponseState, now: Situation, release: Release) -> Asked:
    """The next step, or the strongest hold again where there is none or it is not allowed."""
    policy = now.policy
    hold = replace(release.hold, steps=(), helped=False, releases=release.hold.releases + 1)
    rung = policy.after(hold.reached)
    step = rung.step if rung is not None else policy.strongest_hold
    block = None if step is None or step.reversible else _block(state, now, hold.uid, step)
    if block is not None:
        step = policy.strongest_hold or step
    if step is None:
        return state, ()
    case = Case(hold=hold, since=now.at, acted=now.at)
    after, acts = _take(state, now, case, step, Cause.RELAPSED)
    if not acts:
        return after, ()
    left = tuple(kept for kept in after.releases if kept is not release)
    return replace(after, releases=left, blocked=block), acts


def _escalate(state: ResponseState, now: Situation) -> Asked:
    """The mildest next step among all held pods, the newest first.

    A pod that does not run, and was not the end of the hazard, is not its cause: to evict it would
    help nobody, and it is released.
    """
    chosen: tuple[Case, Step] | None = None
    for case in reversed(state.cases):
        rung = now.policy.after(case.hold.reached)
        if rung is None or now.at - case.acted < rung.after:
            continue
        if Step.FREEZE in case.hold.steps and not rung.step.reversible:
            continue
        if rung.step is Step.FREEZE and case.hold.uid in now.ending:
            continue
        if chosen is None or rung.step.rank < chosen[1].rank:
            chosen = (case, rung.step)
    if chosen is not None:
        return _take(state, now, *chosen, Cause.ESCALATED)
    for case in reversed(state.cases):
        frozen = Step.FREEZE in case.hold.steps
        if frozen or now.at - case.since >= now.policy.longest_hold:
            state = replace(state, cleared=state.cleared | {case.hold.uid})
            cause = Cause.IN_VAIN if frozen else Cause.TOO_LONG
            return release_case(state, case, now.reason(cause), now.at)
    return state, ()


def _block(state: ResponseState, now: Situation, uid: str, step: Step) -> Block | None:
    policy = now.policy
    if len(state.taken) >= policy.acts_per_hour:
        return Block.LIMIT
    if step is Step.FREEZE and uid in now.ending:
        return Block.ENDING
    if step.reversible:
        return None
    if not now.hazard.harmed and not policy.destructive_metrics.intersection(now.hazard.metrics):
        return Block.NO_GAUGE
    if any(uid == refused for refused, _ in state.refused):
        return Block.REFUSED
    destructive = sum(taken.destructive for taken in state.taken)
    return Block.LIMIT if destructive >= policy.destructive_per_hour else None


def _take(state: ResponseState, now: Situation, case: Case, step: Step, cause: Cause) -> Asked:
    """Take a step, if nothing stands against it."""
    block = _block(state, now, case.hold.uid, step)
    if block is not None:
        return replace(state, blocked=block), ()
    hold = case.hold
    acts: tuple[Act, ...] = ()
    if not step.reversible:
        hold, acts = _with_quota(hold, now, Cause.BEFORE_ENDING)
    elif step is Step.MOVE:
        hold, acts = _with_quota(hold, now, cause)
    act = do_step(
        step, uid=hold.uid, pod=hold.pod, quota=now.policy.quota, reason=now.reason(cause)
    )
    steps = (*hold.steps, step) if step.reversible else hold.steps
    hold = replace(hold, steps=steps, reached=step, helped=False)
    taken = (*state.taken, Taken(at=now.at, destructive=not step.reversible))
    state = put_case(replace(state, taken=taken), replace(case, hold=hold, acted=now.at))
    return ask(state, (*acts, act), now.at)


def _with_quota(hold: Hold, now: Situation, cause: Cause) -> tuple[Hold, tuple[Act, ...]]:
    """A pod that is moved or ends is throttled meanwhile, where that is configured.

    Other CPUs alone would be less than the quota that a relapse has come after. One that ends is
    not frozen: a frozen pod either ended the hazard, or is released as innocent.
    """
    throttles = any(rung.step is Step.QUOTA for rung in now.policy.rungs)
    if Step.QUOTA in hold.steps or not throttles:
        return hold, ()
    reason = now.reason(cause)
    throttle = do_step(
        Step.QUOTA, uid=hold.uid, pod=hold.pod, quota=now.policy.quota, reason=reason
    )
    return replace(hold, steps=(*hold.steps, Step.QUOTA)), (throttle,)
