"""The response beside another process that keeps the holds, and pods that are being deleted."""

from dataclasses import replace

from k40s.assurance.metrics import Metric
from k40s.assurance.response.acts import Act, Cause, Hold, Reason, Step
from k40s.assurance.response.policy import Block, Hazard, ResponsePolicy, Rung
from k40s.assurance.response.respond import advance, agree, clear, confirm
from k40s.assurance.response.state import Case, Release, ResponseState
from k40s.assurance.suspects.verdict import Finding, Verdict
from k40s.units import NS_PER_S, Nanoseconds
from tests.unit.assurance.response.test_respond import finding, named

T0 = Nanoseconds(0)
HARMED = Hazard(metrics=(Metric.CPU_SYSTEM,), harmed=True)


def hold(uid: str, *steps: Step, reached: Step | None = None) -> Hold:
    return Hold(uid=uid, pod=f"default/{uid}", steps=steps, reached=reached or steps[-1])


def case(of: Hold, *, releasing: Cause | None = None) -> Case:
    reason = None if releasing is None else Reason(cause=releasing)
    return Case(hold=of, since=T0, acted=T0, releasing=reason)


def sample(
    state: ResponseState,
    second: float,
    *,
    ending: tuple[str, ...] = (),
    found: Finding | None = None,
    policy: ResponsePolicy | None = None,
) -> tuple[ResponseState, list[Act]]:
    """One sample of a node that is harmed; every act is carried out."""
    at = Nanoseconds(round(second * NS_PER_S))
    chosen = policy or ResponsePolicy()
    state, acts = advance(state, chosen, at=at, hazard=HARMED, finding=found, ending=ending)
    for act in acts:
        state = confirm(state, act, at=at, done=True)
    return state, list(acts)


def test_what_the_keeper_has_undone_is_forgotten() -> None:
    state = ResponseState(cases=(case(hold("a", Step.QUOTA)), case(hold("b", Step.QUOTA))))

    agreed = agree(state, {"b": hold("b", Step.QUOTA)}, at=T0)

    assert agreed.held == {"b"}


def test_a_step_that_is_not_in_force_is_forgotten_and_how_far_it_went_is_not() -> None:
    state = ResponseState(cases=(case(hold("a", Step.QUOTA, Step.FREEZE)),))

    (agreed,) = agree(state, {"a": hold("a", Step.QUOTA)}, at=T0).cases

    assert (agreed.hold.steps, agreed.hold.reached) == ((Step.QUOTA,), Step.FREEZE)


def test_what_it_holds_and_nobody_has_asked_for_is_undone() -> None:
    state = agree(ResponseState(), {"a": hold("a", Step.QUOTA, Step.FREEZE)}, at=T0)

    _, acts = sample(state, 1)

    assert [act.kind.value for act in acts] == ["thaw", "unthrottle"]
    assert {act.reason.cause for act in acts} == {Cause.RESTARTED}


def test_why_a_pod_is_released_is_kept() -> None:
    state = ResponseState(cases=(case(hold("a", Step.QUOTA), releasing=Cause.IN_VAIN),))

    (agreed,) = agree(state, {"a": hold("a", Step.QUOTA)}, at=T0).cases

    assert agreed.releasing == Reason(cause=Cause.IN_VAIN)


def test_a_pod_that_is_being_evicted_is_not_forgotten_though_nothing_is_in_force() -> None:
    evicted = replace(hold("a", Step.QUOTA, reached=Step.EVICT), steps=())
    state = ResponseState(cases=(case(evicted),))

    assert agree(state, {}, at=T0).held == {"a"}


def test_a_cleared_pod_is_not_held_until_the_hazard_is_over() -> None:
    state = clear(ResponseState(), "a")

    state, acts = sample(state, 1, found=named("a"))

    assert acts == []
    assert state.known == {"a"}


def test_known_pods_are_those_held_released_and_cleared() -> None:
    state = ResponseState(
        cases=(case(hold("a", Step.QUOTA)),),
        releases=(Release(hold=hold("b", Step.QUOTA), at=T0),),
        cleared=frozenset({"c"}),
    )

    assert state.known == {"a", "b", "c"}


def test_a_frozen_pod_that_is_being_deleted_is_thawed_at_once_and_only_that() -> None:
    state = ResponseState(cases=(case(hold("a", Step.QUOTA, Step.FREEZE)),))

    state, acts = sample(state, 1, ending=("a",))

    assert [(act.kind.value, act.reason.cause) for act in acts] == [("thaw", Cause.BEFORE_ENDING)]
    assert state.stored[0].steps == (Step.QUOTA,)


def test_a_pod_that_is_being_deleted_is_not_frozen_and_another_may_be() -> None:
    state = ResponseState(cases=(case(hold("a", Step.QUOTA)), case(hold("b", Step.QUOTA))))

    state, acts = sample(state, 6, ending=("b",), found=finding(Verdict.UNCLEAR))
    _, later = sample(state, 12, ending=("a", "b"), found=finding(Verdict.UNCLEAR))

    assert [(act.kind.value, act.uid) for act in acts] == [("freeze", "a")]
    assert [act.kind.value for act in later] == ["thaw"]


def test_where_freezing_is_the_first_step_it_is_blocked() -> None:
    policy = ResponsePolicy(rungs=(Rung(step=Step.FREEZE),))

    state, acts = sample(ResponseState(), 1, ending=("a",), found=named("a"), policy=policy)

    assert acts == []
    assert (state.blocked, state.cases) == (Block.ENDING, ())
