from dataclasses import dataclass, field
from fractions import Fraction

import pytest

from k40s.assurance.metrics import Metric
from k40s.assurance.response.acts import Act, ActKind, Cause, Hold, Reason, Step
from k40s.assurance.response.harm import Gauge, Harm
from k40s.assurance.response.policy import Block, Hazard, ResponsePolicy, Rung
from k40s.assurance.response.respond import advance, confirm, resume
from k40s.assurance.response.state import Case, ResponseState
from k40s.assurance.suspects.rises import Rise
from k40s.assurance.suspects.verdict import Finding, Role, Share, Verdict
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

WITH_KILL = ResponsePolicy(
    rungs=(
        *ResponsePolicy().rungs,
        Rung(step=Step.KILL, after=Nanoseconds(5 * NS_PER_S)),
    )
)
HARM = (Harm(uid="critical", gauge=Gauge.PRESSURE, value=12_000.0),)


def finding(verdict: Verdict, uid: str | None = None) -> Finding:
    culprit = None
    if uid is not None:
        culprit = Share(
            uid=uid,
            name=f"default/{uid}",
            role=Role.SUSPECT,
            rise=Rise(system=0.5, used=0.5, threads=8),
            system=0.9,
            used=0.9,
            threads=0.9,
        )
    return Finding(
        verdict=verdict,
        at=Nanoseconds(0),
        onset=Nanoseconds(0),
        window=Nanoseconds(2 * NS_PER_S),
        threatened=Criticality.HI,
        culprit=culprit,
    )


def named(uid: str) -> Finding:
    return finding(Verdict.NAMED, uid)


@dataclass
class Node:
    """Samples twice a second, and acts that are carried out at once.

    ``failing`` are kinds of acts that fail. ``in_force`` is what the kernel holds.
    """

    policy: ResponsePolicy = field(default_factory=ResponsePolicy)
    state: ResponseState = field(default_factory=ResponseState)
    failing: set[ActKind] = field(default_factory=set)
    done: list[tuple[float, str, str]] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    in_force: set[tuple[str, Step]] = field(default_factory=set)
    second: float = 0.0

    @property
    def at(self) -> Nanoseconds:
        return Nanoseconds(round(self.second * NS_PER_S))

    def wait(
        self,
        seconds: float,
        *,
        harmed: bool | None = None,
        alarm: tuple[Metric, ...] = (),
        found: Finding | None = None,
        gone: tuple[str, ...] = (),
    ) -> list[str]:
        """So long in this state of the node; what was done meanwhile."""
        before = len(self.done)
        for _ in range(round(seconds * 2)):
            hazard = Hazard(metrics=alarm, harmed=harmed, harm=HARM if harmed else ())
            self.state, acts = advance(
                self.state, self.policy, at=self.at, hazard=hazard, finding=found, gone=gone
            )
            for act in acts:
                ok = act.kind not in self.failing
                self._carry_out(act, ok=ok)
                self.state = confirm(self.state, act, at=self.at, done=ok)
            self.second += 0.5
        return [f"{kind} {uid}" for _, kind, uid in self.done[before:]]

    def harm(self, seconds: float, found: Finding | None = None) -> list[str]:
        return self.wait(seconds, harmed=True, alarm=(Metric.CPU_SYSTEM,), found=found)

    def calm(self, seconds: float) -> list[str]:
        return self.wait(seconds, harmed=False)

    def _carry_out(self, act: Act, *, ok: bool) -> None:
        if not ok:
            return
        self.acts.append(act)
        self.done.append((self.second, act.kind.value, act.uid))
        if act.undoes:
            self.in_force.discard((act.uid, act.step))
        elif act.step.reversible:
            self.in_force.add((act.uid, act.step))


def test_a_named_pod_is_throttled_at_once_and_released_after_the_cooldown() -> None:
    node = Node()

    assert node.harm(1, named("a")) == ["throttle a"]
    assert node.state.stored[0].steps == (Step.QUOTA,)
    assert node.calm(30) == []
    assert node.calm(1) == ["unthrottle a"]
    assert node.state.stored == ()
    assert node.acts[0].quota == Fraction(1, 10)
    assert [act.reason.cause for act in node.acts] == [Cause.NAMED, Cause.OVER]


def test_an_act_carries_its_evidence() -> None:
    node = Node()
    node.harm(1, named("a"))

    reason = node.acts[0].reason

    assert reason.metrics == (Metric.CPU_SYSTEM,)
    assert reason.harm == HARM
    assert reason.finding == named("a")


def test_a_pod_that_still_harms_is_frozen_and_not_before_two_seconds_and_a_half() -> None:
    node = Node()

    assert node.harm(2.5, named("a")) == ["throttle a"]
    assert node.harm(1, finding(Verdict.UNCLEAR)) == ["freeze a"]


def test_a_frozen_pod_that_changed_nothing_is_innocent_and_let_go() -> None:
    node = Node()
    node.harm(3, named("a"))

    assert node.harm(3, finding(Verdict.UNCLEAR)) == ["thaw a", "unthrottle a"]
    assert node.acts[-1].reason.cause is Cause.IN_VAIN
    assert node.state.cleared == {"a"}
    assert node.harm(60, named("a")) == []


def test_it_is_let_go_and_not_evicted_though_that_would_be_the_next_step() -> None:
    steps = (Rung(step=Step.FREEZE), Rung(step=Step.EVICT))
    node = Node(policy=ResponsePolicy(rungs=steps))
    node.harm(2.5, named("a"))

    assert node.harm(1, finding(Verdict.UNCLEAR)) == ["thaw a"]


def test_an_answer_that_comes_too_late_changes_nothing() -> None:
    hold = Hold(uid="a", pod="default/a", steps=(Step.FREEZE,), reached=Step.FREEZE)
    case = Case(hold=hold, since=Nanoseconds(0), acted=Nanoseconds(0))
    state = ResponseState(cases=(case,))
    thaw = Act(kind=ActKind.THAW, uid="a", pod="a", reason=Reason(cause=Cause.OVER))

    assert confirm(state, thaw, at=Nanoseconds(0), done=True) == state


def test_it_may_be_named_again_in_a_later_hazard() -> None:
    node = Node()
    node.harm(6, named("a"))
    node.calm(31)

    assert node.harm(1, named("a")) == ["throttle a"]


def test_a_hazard_that_is_back_at_once_is_the_same_pods_and_goes_a_step_further() -> None:
    node = Node()
    node.harm(3, named("a"))
    node.calm(31)
    assert node.state.stored == ()

    found = node.harm(1)

    assert found == ["throttle a", "evict a"]
    assert node.acts[-1].reason.cause is Cause.RELAPSED
    assert (node.state.stored[0].reached, node.state.stored[0].steps) == (
        Step.EVICT,
        (Step.QUOTA,),
    )


def test_a_throttled_pods_relapse_is_frozen() -> None:
    node = Node()
    node.harm(1, named("a"))
    node.calm(31)

    assert node.harm(1) == ["freeze a"]


def test_a_hazard_that_is_back_late_is_nobodys_until_attribution_says_so() -> None:
    node = Node()
    node.harm(1, named("a"))
    node.calm(31 + 20)

    assert node.harm(5) == []
    assert node.harm(1, named("a")) == ["throttle a"]


@pytest.mark.parametrize("verdict", [Verdict.OUTSIDE, Verdict.PROTECTED, Verdict.UNCLEAR])
def test_nor_is_one_that_attribution_puts_down_to_somebody_else(verdict: Verdict) -> None:
    node = Node()
    node.harm(1, named("a"))
    node.calm(31)

    assert node.harm(10, finding(verdict)) == []


def test_a_frozen_pod_is_thawed_before_it_is_killed() -> None:
    hold = Hold(uid="a", pod="default/a", steps=(Step.QUOTA, Step.FREEZE), reached=Step.EVICT)
    case = Case(hold=hold, since=Nanoseconds(0), acted=Nanoseconds(0))
    node = Node(policy=WITH_KILL, state=ResponseState(cases=(case,)), second=60.0)

    assert node.harm(1) == ["thaw a", "kill a"]
    assert node.in_force == set()


def test_a_pod_that_was_not_thawed_is_thawed_while_it_ends() -> None:
    hold = Hold(uid="a", pod="default/a", steps=(Step.FREEZE,), reached=Step.EVICT)
    case = Case(hold=hold, since=Nanoseconds(0), acted=Nanoseconds(0))
    node = Node(state=ResponseState(cases=(case,)), failing={ActKind.THAW})
    node.calm(5)
    node.failing.clear()

    assert node.calm(1) == ["thaw a"]


def test_eviction_is_followed_by_a_kill_only_where_that_is_configured() -> None:
    for policy, last in ((WITH_KILL, ["kill a"]), (ResponsePolicy(), [])):
        node = Node(policy=policy)
        node.harm(3, named("a"))
        node.calm(31)
        assert node.harm(1)[-1] == "evict a"

        assert node.harm(8) == last


def test_a_second_culprit_is_held_when_it_is_named_and_the_first_stays_held() -> None:
    node = Node()
    node.harm(1, named("a"))

    assert node.harm(2.5, named("b")) == ["throttle b"]
    assert {hold.uid for hold in node.state.stored} == {"a", "b"}


def test_two_held_pods_are_stepped_up_before_either_is_innocent() -> None:
    node = Node()
    node.harm(1, named("a"))
    node.harm(2.5, named("b"))

    found = node.harm(8, finding(Verdict.UNCLEAR))

    assert found[:2] == ["freeze b", "freeze a"]


def test_holds_are_undone_one_at_a_time_so_that_a_relapse_tells_whose_it_is() -> None:
    node = Node()
    node.harm(1, named("a"))
    node.harm(2.5, named("b"))

    assert node.calm(31) == ["unthrottle b"]
    assert node.calm(14) == []
    assert node.calm(2) == ["unthrottle a"]


def test_without_a_gauge_the_alarm_decides_but_not_on_destruction() -> None:
    node = Node()
    queue = (Metric.RUN_QUEUE,)
    node.wait(6, alarm=queue, found=named("a"))
    node.wait(31, alarm=())
    assert node.state.stored == ()

    found = node.wait(4, alarm=queue, found=named("a"))

    assert found == ["freeze a"]
    assert node.state.stored[0].releases == 1


def test_an_alarm_of_system_time_justifies_it_without_a_gauge() -> None:
    node = Node()
    system = (Metric.CPU_SYSTEM,)
    node.wait(6, alarm=system, found=named("a"))
    node.wait(31, alarm=())

    assert node.wait(4, alarm=system, found=named("a"))[-1] == "evict a"


def test_without_a_gauge_each_step_waits_until_the_alarm_could_have_cleared() -> None:
    node = Node()
    system = (Metric.CPU_SYSTEM,)

    assert node.wait(5, alarm=system, found=named("a")) == ["throttle a"]
    assert node.wait(1, alarm=system) == ["freeze a"]


def test_a_gauge_without_harm_keeps_every_pod_free() -> None:
    node = Node()
    alarm = (Metric.CPU_SYSTEM, Metric.RUN_QUEUE)

    assert node.wait(30, harmed=False, alarm=alarm, found=named("a")) == []


def test_unless_an_alarm_is_to_be_enough() -> None:
    node = Node(policy=ResponsePolicy(only_harmful=False))

    assert node.wait(1, harmed=False, alarm=(Metric.RUN_QUEUE,), found=named("a")) == ["throttle a"]


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict != "named"])
def test_nobody_is_touched_unless_named(verdict: Verdict) -> None:
    assert Node().harm(60, finding(verdict)) == []


def test_without_rungs_pods_are_named_and_left_alone() -> None:
    assert Node(policy=ResponsePolicy(rungs=())).harm(60, named("a")) == []


def test_acts_are_limited_by_the_hour_and_undoing_is_not() -> None:
    node = Node(policy=ResponsePolicy(acts_per_hour=3, destructive_per_hour=1))
    for uid in "abcdef":
        node.harm(2.5, named(uid))

    assert [kind for _, kind, _ in node.done] == ["throttle"] * 3
    assert node.state.blocked is Block.LIMIT
    node.calm(120)
    assert node.in_force == set()
    assert node.harm(1, named("g")) == []
    node.calm(3600)
    assert node.harm(1, named("h")) == ["throttle h"]


def test_so_is_destruction() -> None:
    policy = ResponsePolicy(
        rungs=(Rung(step=Step.EVICT),), acts_per_hour=10, destructive_per_hour=2
    )
    node = Node(policy=policy)
    for uid in "abcd":
        node.harm(3, named(uid))

    assert [uid for _, _, uid in node.done] == ["a", "b"]
    assert node.state.blocked is Block.LIMIT


def test_each_relapse_doubles_the_cooldown() -> None:
    policy = ResponsePolicy(rungs=(Rung(step=Step.FREEZE),))
    node = Node(policy=policy)
    node.harm(1, named("a"))
    held = []
    for _ in range(6):
        begin = node.second
        while node.state.stored:
            node.calm(0.5)
        held.append(node.second - begin)
        assert node.harm(1) == ["freeze a"]

    assert held == [30.5, 60.5, 120.5, 240.5, 480.5, 600.5]


def test_a_refused_eviction_leaves_the_pod_held_and_is_not_tried_again_at_once() -> None:
    policy = ResponsePolicy(retry=Nanoseconds(100 * NS_PER_S))
    node = Node(policy=policy, failing={ActKind.EVICT})
    node.harm(3, named("a"))
    node.calm(31)
    node.harm(1)
    assert node.in_force == {("a", Step.QUOTA)}

    assert node.harm(3) == ["freeze a"]

    node.failing.clear()
    node.calm(61)
    assert node.harm(1) == ["freeze a"]
    node.calm(121)
    assert node.harm(1) == ["throttle a", "evict a"]


def test_an_undo_that_fails_is_repeated_until_it_is_done() -> None:
    node = Node(failing={ActKind.UNTHROTTLE})
    node.harm(1, named("a"))
    node.calm(60)
    assert node.in_force == {("a", Step.QUOTA)}
    assert node.state.stored != ()
    node.failing.clear()

    assert node.calm(1) == ["unthrottle a"]
    assert node.state.stored == ()


def test_a_step_that_fails_may_be_in_force_and_is_undone() -> None:
    node = Node(failing={ActKind.THROTTLE})
    node.harm(1, named("a"))

    assert node.calm(31) == ["unthrottle a"]


def test_an_act_without_an_answer_is_taken_to_have_failed() -> None:
    hazard = Hazard(metrics=(Metric.CPU_SYSTEM,), harmed=True)
    calm = Hazard(harmed=False)
    policy = ResponsePolicy()
    state, acts = advance(
        ResponseState(), policy, at=Nanoseconds(0), hazard=hazard, finding=named("a")
    )
    assert [act.kind for act in acts] == [ActKind.THROTTLE]

    undone = []
    for half in range(1, 100):
        at = Nanoseconds(half * 500 * NS_PER_MS)
        state, later = advance(state, policy, at=at, hazard=calm, finding=None)
        undone += [(half / 2, act.kind.value) for act in later]

    assert undone == [(30.5, "unthrottle"), (40.5, "unthrottle")]
    assert confirm(state, acts[0], at=Nanoseconds(0), done=True) == state


def test_a_pod_that_is_gone_is_forgotten() -> None:
    node = Node()
    node.harm(1, named("a"))

    assert node.wait(60, harmed=False, gone=("a",)) == []
    assert node.state.stored == ()


def test_a_hold_that_cannot_go_further_is_not_for_ever() -> None:
    node = Node(policy=ResponsePolicy(rungs=(Rung(step=Step.QUOTA),)))
    node.harm(1, named("a"))

    assert node.harm(890, finding(Verdict.UNCLEAR)) == []
    assert node.harm(20, finding(Verdict.UNCLEAR)) == ["unthrottle a"]
    assert node.acts[-1].reason.cause is Cause.TOO_LONG


def test_after_a_restart_every_hold_is_undone_in_reverse_order() -> None:
    hold = Hold(uid="a", pod="default/a", steps=(Step.QUOTA, Step.FREEZE), reached=Step.FREEZE)
    node = Node(state=resume([hold], at=Nanoseconds(0)))

    assert node.wait(1) == ["thaw a", "unthrottle a"]
    assert {act.reason.cause for act in node.acts} == {Cause.RESTARTED}


@pytest.mark.parametrize(("helped", "expected"), [(True, ["throttle a", "evict a"]), (False, [])])
def test_a_hazard_that_is_back_then_is_the_held_pods_if_the_hold_had_helped(
    *, helped: bool, expected: list[str]
) -> None:
    hold = Hold(
        uid="a",
        pod="default/a",
        steps=(Step.FREEZE,),
        reached=Step.FREEZE,
        helped=helped,
    )
    node = Node(state=resume([hold], at=Nanoseconds(0)))
    node.wait(4)

    found = node.wait(4, alarm=(Metric.CPU_SYSTEM,), found=finding(Verdict.NO_BASELINE))

    assert found == expected


def test_an_eviction_before_a_restart_counts_against_the_limit() -> None:
    holds = [Hold(uid=uid, pod=uid, steps=(Step.QUOTA,), reached=Step.EVICT) for uid in ("a", "b")]
    policy = ResponsePolicy(rungs=(Rung(step=Step.EVICT),))
    node = Node(policy=policy, state=resume(holds, at=Nanoseconds(0)))
    node.wait(1)

    assert node.harm(1, named("c")) == []
    assert node.state.blocked is Block.LIMIT


@pytest.mark.parametrize(
    "change",
    [
        {"rungs": (Rung(step=Step.FREEZE), Rung(step=Step.QUOTA))},
        {"rungs": (Rung(step=Step.QUOTA), Rung(step=Step.QUOTA))},
        {"quota": Fraction(0)},
        {"quota": Fraction(2)},
        {"reconsider": 0},
        {"reconsider_by_alarm": NS_PER_S},
        {"settle": 40 * NS_PER_S},
        {"longest_hold": 60 * NS_PER_S},
        {"at_once": 20 * NS_PER_S},
        {"destructive_per_hour": 13},
        {"answer": 0},
        {"retry": 0},
    ],
)
def test_a_policy_that_cannot_be_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="response"):
        ResponsePolicy(**change)  # type: ignore[arg-type]  # wrong on purpose


def test_a_rung_is_not_taken_before_the_one_before_it() -> None:
    with pytest.raises(ValueError, match="before"):
        Rung(step=Step.QUOTA, after=Nanoseconds(-1))
