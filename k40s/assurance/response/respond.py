"""The response to a hazard as a fold over samples and answers: hold, escalate, release.

The caller stores ``ResponseState.stored`` before it carries out acts, and confirms each act. Then
whatever may be in force on a pod is among the stored holds, wherever the process is killed.
Where another process keeps the holds, ``agree`` takes over what that one says.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from k40s.assurance.response.acts import Act, Cause, Hold, Reason, Step
from k40s.assurance.response.escalation import Situation, respond
from k40s.assurance.response.policy import Hazard, ResponsePolicy
from k40s.assurance.response.state import (
    Asked,
    Case,
    Release,
    ResponseState,
    Taken,
    ask,
    drop_case,
    find_case,
    put_case,
    release_case,
    undoing,
)
from k40s.assurance.suspects.verdict import Finding
from k40s.units import NS_PER_S, Nanoseconds

_HOUR = 3600 * NS_PER_S
_MOST_DOUBLINGS = 20


def resume(holds: Collection[Hold], *, at: Nanoseconds) -> ResponseState:
    """The state after a restart: everything that may be in force is undone first."""
    reason = Reason(cause=Cause.RESTARTED)
    return ResponseState(
        cases=tuple(
            Case(hold=hold, since=at, acted=at, releasing=reason) for hold in holds if hold.steps
        ),
        taken=tuple(
            Taken(at=at, destructive=True) for hold in holds if not hold.reached.reversible
        ),
    )


def advance(
    state: ResponseState,
    policy: ResponsePolicy,
    *,
    at: Nanoseconds,
    hazard: Hazard,
    finding: Finding | None,
    gone: Collection[str] = (),
    ending: Collection[str] = (),
) -> Asked:
    """The state after one more sample, and the acts to carry out in this order.

    ``finding`` is attribution's, None while no alarm is active. ``gone`` are pods that no longer
    exist, with their cgroups. ``ending`` are pods that are being deleted: they are thawed at once,
    and not frozen, as a v1 freezer holds SIGKILL back. No act follows while others wait for their
    answers.
    """
    state = _forget(state, policy, at, gone)
    threat = _is_threat(policy, hazard)
    calm_since = None if threat else (at if state.calm_since is None else state.calm_since)
    state = replace(state, calm_since=calm_since, blocked=None)
    if state.pending:
        return state, ()
    left = undoing(state, ending)
    if left:
        return ask(state, left, at)
    if not threat:
        return _relax(state, policy, at)
    situation = Situation(
        policy=policy, at=at, hazard=hazard, finding=finding, ending=frozenset(ending)
    )
    return respond(state, situation)


def confirm(state: ResponseState, act: Act, *, at: Nanoseconds, done: bool) -> ResponseState:
    """The state after an act was carried out, or failed: then it may be in force all the same.

    An answer that comes too late is ignored: what it undid may have been done again.
    """
    if act not in state.pending:
        return state
    state = replace(state, pending=tuple(kept for kept in state.pending if kept != act))
    case = find_case(state, act.uid)
    if case is None:
        return state
    if act.undoes:
        return _undone(state, case, act.step, at) if done else state
    if done or act.step.reversible:
        return state
    refused = (*(kept for kept in state.refused if kept[0] != act.uid), (act.uid, at))
    state = replace(state, refused=refused)
    if not case.hold.steps:
        return drop_case(state, act.uid)
    return put_case(state, replace(case, hold=_without_reaching(case.hold, act.step)))


def agree(state: ResponseState, held: Mapping[str, Hold], *, at: Nanoseconds) -> ResponseState:
    """The state in which nothing is in force but what another process holds, by uid.

    What that process has undone by itself is forgotten. What it holds and nobody here has asked for
    is undone.
    """
    for case in state.cases:
        found = held.get(case.hold.uid)
        if found is not None:
            reached = max((case.hold.reached, *found.steps), key=lambda step: step.rank)
            hold = replace(case.hold, steps=found.steps, reached=reached)
            state = put_case(state, replace(case, hold=hold))
        elif case.hold.steps or case.hold.reached.reversible:
            state = drop_case(state, case.hold.uid)
    for hold in held.values():
        if find_case(state, hold.uid) is None and hold.steps:
            reason = Reason(cause=Cause.RESTARTED)
            state = put_case(state, Case(hold=hold, since=at, acted=at, releasing=reason))
    return state


def clear(state: ResponseState, uid: str) -> ResponseState:
    """The state in which a pod that cannot be held is left alone until this hazard is over."""
    return replace(state, cleared=state.cleared | {uid})


def withdraw(state: ResponseState, act: Act, *, again: bool) -> ResponseState:
    """The state after a step that was not taken, and is not in force: it counts for no limit.

    With ``again`` it may be asked for once more; without, it counts as reached, so that it is not.
    """
    numbers = [number for number, taken in enumerate(state.taken) if not taken.destructive]
    if act.step.reversible and numbers:
        last = numbers[-1]
        state = replace(state, taken=(*state.taken[:last], *state.taken[last + 1 :]))
    case = find_case(state, act.uid)
    if case is None or not again or not case.hold.steps or act.step in case.hold.steps:
        return state
    return put_case(state, replace(case, hold=_without_reaching(case.hold, act.step)))


def _without_reaching(hold: Hold, step: Step) -> Hold:
    """The hold as if this step had not been reached. An eviction stays asked for after a kill."""
    held = max(hold.steps, key=lambda step: step.rank)
    return replace(hold, reached=Step.EVICT if step is Step.KILL else held)


def _is_threat(policy: ResponsePolicy, hazard: Hazard) -> bool:
    if hazard.harmed is None or (not hazard.harmed and not policy.only_harmful):
        return bool(hazard.metrics)
    return hazard.harmed


def _undone(state: ResponseState, case: Case, step: Step, at: Nanoseconds) -> ResponseState:
    hold = case.hold.without(step)
    if hold.steps or case.releasing is None:
        return put_case(state, replace(case, hold=hold))
    state = drop_case(state, hold.uid)
    if hold.helped and case.releasing.cause in {Cause.OVER, Cause.RESTARTED}:
        return replace(state, releases=(*state.releases, Release(hold=hold, at=at)))
    return state


def _forget(
    state: ResponseState, policy: ResponsePolicy, at: Nanoseconds, gone: Collection[str]
) -> ResponseState:
    unanswered = state.asked is not None and at - state.asked >= policy.answer
    return replace(
        state,
        cases=tuple(case for case in state.cases if case.hold.uid not in gone),
        releases=tuple(
            release
            for release in state.releases
            if at - release.at <= policy.relapse and release.hold.uid not in gone
        ),
        cleared=state.cleared.difference(gone),
        refused=tuple(
            (uid, when)
            for uid, when in state.refused
            if at - when < policy.retry and uid not in gone
        ),
        taken=tuple(taken for taken in state.taken if at - taken.at < _HOUR),
        pending=() if unanswered else tuple(act for act in state.pending if act.uid not in gone),
    )


def _relax(state: ResponseState, policy: ResponsePolicy, at: Nanoseconds) -> Asked:
    """In calm: holds are undone, the newest first, one at a time."""
    calm = at - (at if state.calm_since is None else state.calm_since)
    if calm >= policy.settle:
        helped = (replace(case, hold=replace(case.hold, helped=True)) for case in state.cases)
        state = replace(state, cases=tuple(helped))
    if calm >= policy.cooldown:
        state = replace(state, cleared=frozenset())
    if not state.cases or state.releases:
        return state, ()
    newest = state.cases[-1]
    doubled = policy.cooldown << min(newest.hold.releases, _MOST_DOUBLINGS)
    if calm < min(doubled, policy.longest_cooldown):
        return state, ()
    return release_case(state, newest, Reason(cause=Cause.OVER), at)
