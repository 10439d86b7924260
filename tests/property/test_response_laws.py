"""The response undoes what it does, wherever it is killed, and keeps its limits."""

import json
from dataclasses import dataclass, field
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from k40s.assurance.metrics import Metric
from k40s.assurance.response.acts import Act, ActKind, Hold, Step, format_holds, parse_holds
from k40s.assurance.response.policy import Hazard, ResponsePolicy, Rung
from k40s.assurance.response.respond import advance, confirm, resume
from k40s.assurance.response.state import ResponseState
from k40s.assurance.suspects.rises import Rise
from k40s.assurance.suspects.verdict import Finding, Role, Share, Verdict
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

UIDS = "abc"
HOUR = 3600 * NS_PER_S
SEEDS = st.integers(0, 2**32)


def finding(at: int, chance: Random) -> Finding:
    uid = chance.choice(UIDS)
    share = Share(
        uid=uid,
        name=f"default/{uid}",
        role=Role.SUSPECT,
        rise=Rise(used=0.5),
        system=0.0,
        used=1.0,
        threads=1.0,
    )
    verdict = chance.choice([Verdict.NAMED, Verdict.NAMED, *Verdict])
    return Finding(
        verdict=verdict,
        at=Nanoseconds(at),
        onset=Nanoseconds(at),
        window=Nanoseconds(2 * NS_PER_S),
        threatened=Criticality.HI,
        culprit=share if verdict in {Verdict.NAMED, Verdict.UNCONFIRMED} else None,
    )


@st.composite
def policies(draw: st.DrawFn) -> ResponsePolicy:
    steps = [step for step in Step if draw(st.booleans())]
    return ResponsePolicy(
        rungs=tuple(
            Rung(step=step, after=Nanoseconds(draw(st.integers(0, 5)) * NS_PER_S)) for step in steps
        ),
        acts_per_hour=draw(st.integers(2, 40)),
        destructive_per_hour=draw(st.integers(0, 2)),
        only_harmful=draw(st.booleans()),
    )


@dataclass
class Machine:
    """A kernel that keeps what is in force, a store, and a process that may be killed anywhere."""

    policy: ResponsePolicy
    chance: Random
    state: ResponseState = field(default_factory=ResponseState)
    stored: tuple[Hold, ...] = ()
    kernel: set[tuple[str, Step]] = field(default_factory=set)
    pods: set[str] = field(default_factory=lambda: set(UIDS))
    done: list[tuple[int, Act]] = field(default_factory=list)
    ended: list[tuple[Hazard, bool]] = field(default_factory=list)
    """For each eviction or kill: the state of the node, and whether the pod was frozen."""
    hazard: Hazard = field(default_factory=Hazard)
    ending: set[str] = field(default_factory=set)
    at: int = 0
    killed: bool = False

    def sample(self, *, hazard: Hazard, found: Finding | None, kill: float, fail: float) -> None:
        gone = set(UIDS) - self.pods
        self.hazard = hazard
        state, acts = advance(
            self.state,
            self.policy,
            at=Nanoseconds(self.at),
            hazard=hazard,
            finding=found,
            gone=gone,
            ending=self.ending,
        )
        self._store(state)
        self._die(kill)
        for act in acts:
            if self.killed:
                return
            fate = self.chance.random()
            done = fate >= fail
            if fate >= fail / 2:  # one that fails may have been carried out all the same
                self._carry_out(act)
            self._die(kill)
            if not self.killed and self.chance.random() >= fail / 2:
                self._store(confirm(self.state, act, at=Nanoseconds(self.at), done=done))
                self._die(kill)

    def restart(self) -> None:
        stored = json.dumps(format_holds(self.stored))
        holds = parse_holds(json.loads(stored), source="holds")
        self.killed = False
        self._store(resume(holds, at=Nanoseconds(self.at)))

    def _store(self, state: ResponseState) -> None:
        self.state = state
        self.stored = state.stored

    def _die(self, kill: float) -> None:
        self.killed = self.killed or self.chance.random() < kill
        assert self.kernel <= {(hold.uid, step) for hold in self.stored for step in hold.steps}

    def _carry_out(self, act: Act) -> None:
        if act.uid not in self.pods:
            return
        self.done.append((self.at, act))
        if act.undoes:
            self.kernel.discard((act.uid, act.step))
            return
        assert act.kind is not ActKind.FREEZE or act.uid not in self.ending
        if act.kind in {ActKind.EVICT, ActKind.KILL}:
            self.ended.append((self.hazard, (act.uid, Step.FREEZE) in self.kernel))
            if self.chance.random() < 0.5:
                self.pods.discard(act.uid)
                self.kernel = {entry for entry in self.kernel if entry[0] != act.uid}
            return
        self.kernel.add((act.uid, act.step))


def hazards(chance: Random) -> Hazard:
    metrics = chance.choice([(), (Metric.CPU_SYSTEM,), (Metric.RUN_QUEUE,)])
    return Hazard(metrics=metrics, harmed=chance.choice([None, True, True, False]))


def live(machine: Machine, *, spells: int, kill: float, fail: float) -> None:
    """Spells of hazard and calm, with restarts where the process was killed."""
    chance = machine.chance
    for _ in range(spells):
        hazard = hazards(chance)
        for _ in range(chance.randint(1, 60)):
            machine.at += 500 * NS_PER_MS
            found = finding(machine.at, chance) if hazard.metrics else None
            machine.sample(hazard=hazard, found=found, kill=kill, fail=fail)
            if machine.killed:
                machine.restart()
            if chance.random() < 0.01:
                machine.pods = set(UIDS)


@given(policy=policies(), seed=SEEDS)
def test_a_kill_between_any_two_acts_leaves_a_list_from_which_all_is_undone(
    policy: ResponsePolicy, seed: int
) -> None:
    machine = Machine(policy=policy, chance=Random(seed))
    live(machine, spells=8, kill=0.02, fail=0.2)

    machine.restart()
    for _ in range(10):
        machine.at += 500 * NS_PER_MS
        machine.sample(hazard=Hazard(harmed=False), found=None, kill=0, fail=0)

    assert machine.kernel == set()
    assert machine.state.stored == ()


@given(policy=policies(), seed=SEEDS)
def test_when_the_hazard_is_over_everything_is_undone_without_a_restart(
    policy: ResponsePolicy, seed: int
) -> None:
    machine = Machine(policy=policy, chance=Random(seed))
    live(machine, spells=8, kill=0, fail=0.2)

    for _ in range(2 * 700):
        machine.at += 500 * NS_PER_MS
        machine.sample(hazard=Hazard(harmed=False), found=None, kill=0, fail=0)

    assert machine.kernel == set()
    assert machine.state.stored == ()


@given(policy=policies(), seed=SEEDS)
def test_no_hour_has_more_acts_than_allowed(policy: ResponsePolicy, seed: int) -> None:
    machine = Machine(policy=policy, chance=Random(seed))
    live(machine, spells=12, kill=0, fail=0)

    steps = [
        (at, act)
        for at, act in machine.done
        if not act.undoes and act.reason.cause.value != "before-ending"
    ]
    for index, (begin, _) in enumerate(steps):
        hour = [act for at, act in steps[index:] if at < begin + HOUR]
        assert len(hour) <= policy.acts_per_hour
        ended = [act for act in hour if not act.step.reversible]
        assert len(ended) <= policy.destructive_per_hour


@given(policy=policies(), seed=SEEDS)
def test_nobody_is_ended_without_harm_or_an_alarm_that_justifies_it(
    policy: ResponsePolicy, seed: int
) -> None:
    machine = Machine(policy=policy, chance=Random(seed))
    live(machine, spells=8, kill=0.01, fail=0.1)

    for hazard, _ in machine.ended:
        assert hazard.harmed or Metric.CPU_SYSTEM in hazard.metrics


@given(policy=policies(), seed=SEEDS)
def test_nobody_is_ended_while_frozen(policy: ResponsePolicy, seed: int) -> None:
    machine = Machine(policy=policy, chance=Random(seed))
    live(machine, spells=8, kill=0.01, fail=0)

    assert not any(frozen for _, frozen in machine.ended)


@given(policy=policies(), seed=SEEDS)
def test_only_steps_that_are_configured_are_taken_and_one_pod_is_acted_on_at_a_time(
    policy: ResponsePolicy, seed: int
) -> None:
    machine = Machine(policy=policy, chance=Random(seed))
    live(machine, spells=8, kill=0, fail=0)

    allowed = {rung.step for rung in policy.rungs}
    assert {act.step for _, act in machine.done} <= allowed
    taken: dict[int, set[str]] = {}
    for at, act in machine.done:
        if not act.undoes:
            taken.setdefault(at, set()).add(act.uid)
    assert all(len(uids) == 1 for uids in taken.values())


@given(policy=policies(), seed=SEEDS)
def test_no_pod_that_is_being_deleted_stays_frozen_for_longer_than_a_sample(
    policy: ResponsePolicy, seed: int
) -> None:
    machine = Machine(policy=policy, chance=Random(seed))
    for _ in range(30):
        live(machine, spells=1, kill=0, fail=0)
        machine.ending = {uid for uid in UIDS if machine.chance.random() < 0.5}
        machine.at += 500 * NS_PER_MS
        hazard = hazards(machine.chance)
        found = finding(machine.at, machine.chance) if hazard.metrics else None
        machine.sample(hazard=hazard, found=found, kill=0, fail=0)

        assert not {(uid, Step.FREEZE) for uid in machine.ending} & machine.kernel
