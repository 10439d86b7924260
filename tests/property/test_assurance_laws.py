"""The monitor does not cry wolf, does not flap, and stays in its bounds."""

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from k40s.annotations import NodeAssurance
from k40s.assurance import assurance_class, fitness
from k40s.assurance.change_point import LEAST_SAMPLES, Cusum
from k40s.assurance.counters import Counters, CpuTimes, StatCounters
from k40s.assurance.detector import DEFAULT_RULES, AlarmState, Rule, Trigger, observe
from k40s.assurance.gamma import GammaPolicy, GammaState, Severity, postpone, recover, resume
from k40s.assurance.metrics import Metric, metrics_between
from k40s.assurance.response.harm import (
    CriticalPod,
    Gauge,
    Harm,
    HarmPolicy,
    HarmState,
    gauge_harm,
)
from k40s.assurance.software import Preemption, SoftwareFacts, propose_software_assurance
from k40s.assurance.watch import WatchState, advance
from k40s.criticality import Criticality
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

VALUES = st.floats(0, 1e6, allow_nan=False)
GAPS = st.integers(NS_PER_MS, 10 * NS_PER_S)
TICKS = st.integers(0, 2**40)
TIMES = st.builds(
    CpuTimes, user=TICKS, system=TICKS, idle=TICKS, iowait=TICKS, irq=TICKS, steal=TICKS
)
TABLES = st.dictionaries(st.sampled_from(["RES", "TLB", "CAL", "device", "RCU", "TIMER"]), TICKS)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    clear = draw(st.floats(0.001, 1e3))
    votes = draw(st.integers(1, 9))
    return Rule(
        metric=Metric.LOAD,
        raise_at=clear + draw(st.floats(0, 1e3)),
        clear_at=clear,
        trend=draw(st.none() | st.floats(1e-9, 10)),
        votes=votes,
        window=draw(st.integers(votes, 2 * votes - 1)),
        change=draw(
            st.none()
            | st.builds(
                Cusum, reference=st.floats(clear, clear + 1e3), decision=st.floats(1e-6, 1e3)
            )
        ),
        hold=Nanoseconds(draw(st.integers(0, 20 * NS_PER_S))),
    )


@given(
    rule=rules(),
    value=VALUES,
    gaps=st.lists(GAPS, max_size=40),
)
def test_steady_samples_raise_no_trend_alarm(rule: Rule, value: float, gaps: list[int]) -> None:
    alarm, at = AlarmState(), 0
    for gap in gaps:
        at += gap
        alarm = observe(alarm, rule, at=Nanoseconds(at), value=value)

    changed = rule.change is not None and value > rule.change.reference
    assert not alarm.active or value >= rule.raise_at or changed


@given(rule=rules(), samples=st.lists(st.tuples(GAPS, VALUES), max_size=80))
def test_an_alarm_never_changes_faster_than_its_hold_time(
    rule: Rule, samples: list[tuple[int, float]]
) -> None:
    alarm, at = AlarmState(), 0
    changes = []
    for gap, value in samples:
        at += gap
        before = alarm.active
        alarm = observe(alarm, rule, at=Nanoseconds(at), value=value)
        if alarm.active != before:
            changes.append(at)

    assert all(later - earlier >= rule.hold for earlier, later in pairwise(changes))


@given(rule=rules(), samples=st.lists(st.tuples(GAPS, VALUES), max_size=60))
def test_an_alarm_is_raised_only_by_enough_samples_at_the_clearing_value_or_above(
    rule: Rule, samples: list[tuple[int, float]]
) -> None:
    alarm, at = AlarmState(), 0
    seen: list[float] = []
    for gap, value in samples:
        at += gap
        seen.append(value)
        before = alarm.active
        alarm = observe(alarm, rule, at=Nanoseconds(at), value=value)
        if alarm.active and not before:
            recent = seen[-rule.window :]
            by_level = sum(value >= rule.clear_at for value in recent) >= rule.votes
            assert by_level or alarm.trigger is Trigger.CHANGE
        if alarm.active and not before and alarm.trigger is Trigger.CHANGE:
            assert rule.change is not None
            above = [value > rule.change.reference for value in seen]
            assert sum(above) >= LEAST_SAMPLES
            assert above[-1] or seen[-1] == rule.change.reference


@st.composite
def policies(draw: st.DrawFn) -> GammaPolicy:
    floors = sorted(draw(st.lists(st.integers(0, 9), min_size=3, max_size=3)))
    quiet = draw(st.integers(1, 60 * NS_PER_S))
    longest = quiet + draw(st.integers(0, 900 * NS_PER_S))
    return GammaPolicy(
        timeout=Nanoseconds(draw(st.integers(0, 20 * NS_PER_S))),
        missed=floors[0],
        harmed=floors[1],
        alarm=floors[2],
        quiet=Nanoseconds(quiet),
        longest_quiet=Nanoseconds(longest),
        step=draw(st.integers(1, 10)),
        every=Nanoseconds(draw(st.integers(1, 20 * NS_PER_S))),
        forgiven=Nanoseconds(longest + draw(st.integers(0, 900 * NS_PER_S))),
    )


SEVERITIES = st.sampled_from(Severity)
GAMMAS = st.builds(GammaState, value=st.integers(0, 10), falls=st.integers(0, 50), cause=SEVERITIES)


@given(
    policy=policies(),
    gamma=GAMMAS,
    samples=st.lists(st.tuples(GAPS, st.none() | SEVERITIES), max_size=80),
)
def test_gamma_only_falls_in_hazard_and_only_rises_in_calm(
    policy: GammaPolicy, gamma: GammaState, samples: list[tuple[int, Severity | None]]
) -> None:
    at = 0
    for gap, severity in samples:
        at += gap
        before = gamma
        if severity is None:
            gamma = postpone(gamma, Nanoseconds(gap))
        else:
            gamma = recover(gamma, policy, at=Nanoseconds(at), severity=severity)
        assert 0 <= gamma.value <= 10
        if severity is Severity.NONE:
            assert gamma.value >= before.value
        else:
            assert gamma.value <= before.value
        if severity is None:
            assert (gamma.value, gamma.falls) == (before.value, before.falls)
        if gamma.value < before.value:
            assert gamma.value in {policy.alarm, policy.harmed, policy.missed}


@given(
    policy=policies(),
    samples=st.lists(st.tuples(GAPS, SEVERITIES), max_size=80),
)
def test_gamma_falls_only_by_what_has_lasted_the_timeout(
    policy: GammaPolicy, samples: list[tuple[int, Severity]]
) -> None:
    gamma, at = GammaState(), 0
    begun: int | None = None
    for gap, severity in samples:
        at += gap
        before = gamma.value
        begun = None if severity is Severity.NONE else (at if begun is None else begun)
        gamma = recover(gamma, policy, at=Nanoseconds(at), severity=severity)
        if gamma.value < before:
            assert begun is not None
            assert at - begun >= policy.timeout


@given(
    half=st.integers(NS_PER_S, 59 * NS_PER_S),
    late=st.integers(0, 3 * NS_PER_S),
    timeout=st.sampled_from([NS_PER_S, 10 * NS_PER_S]),
    severity=st.sampled_from([Severity.ALARM, Severity.HARMED, Severity.MISSED]),
    phase=st.integers(0, 60 * NS_PER_S),
)
def test_a_hazard_toggled_for_half_an_hour_downgrades_at_most_twice(
    half: int, late: int, timeout: int, severity: Severity, phase: int
) -> None:
    policy = GammaPolicy(timeout=Nanoseconds(timeout))
    gamma, downgrades = GammaState(), 0
    for at in range(0, 1800 * NS_PER_S, NS_PER_S):
        on = (at + phase) % (2 * half) < half + min(late, half - 1)
        before = gamma.value
        gamma = recover(
            gamma, policy, at=Nanoseconds(at), severity=severity if on else Severity.NONE
        )
        downgrades += gamma.value < before

    assert downgrades <= 2


@given(
    policy=policies(),
    samples=st.lists(st.tuples(GAPS, SEVERITIES), max_size=60),
    later=st.lists(st.tuples(GAPS, SEVERITIES), max_size=60),
)
def test_a_restart_never_raises_gamma_nor_shortens_its_recovery(
    policy: GammaPolicy,
    samples: list[tuple[int, Severity]],
    later: list[tuple[int, Severity]],
) -> None:
    kept, at = GammaState(), 0
    for gap, severity in samples:
        at += gap
        kept = recover(kept, policy, at=Nanoseconds(at), severity=severity)
    new = resume(GammaState(), value=kept.value, cause=kept.cause, falls=kept.falls)

    assert (new.value, new.falls) == (kept.value, max(kept.falls, int(kept.value < 10)))
    for gap, severity in later:
        at += gap
        before = new.value
        new = recover(new, policy, at=Nanoseconds(at), severity=severity)
        if severity is not Severity.NONE:
            assert new.value <= before


CRITICAL = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.builds(
        CriticalPod,
        pressure=st.none() | st.integers(0, 10**7),
        late=st.none() | st.booleans(),
        misses=st.none() | st.integers(0, 100),
    ),
)


@given(
    samples=st.lists(st.tuples(GAPS, st.booleans(), CRITICAL), max_size=60),
    policy=st.builds(
        HarmPolicy, windows=st.integers(1, 3), least=st.integers(1, 5), baseline=st.integers(5, 60)
    ),
)
def test_no_harm_is_told_only_where_every_critical_pod_has_a_gauge(
    samples: list[tuple[int, bool, dict[str, CriticalPod]]], policy: HarmPolicy
) -> None:
    state, at = HarmState(), 0
    for gap, calm, pods in samples:
        at += gap
        state = gauge_harm(state, policy, at=Nanoseconds(at), pods=pods, calm=calm)
        if state.harmed is False:
            assert state.pods
            assert all(
                pod.pressure is not None or pod.late is not None for pod in state.pods.values()
            )
        if state.harmed:
            assert state.evidence
        assert all(len(kept) <= policy.baseline for kept in state.baselines.values())


STATS = st.builds(
    StatCounters,
    own=TIMES,
    own_cpus=st.integers(1, 64),
    others=TIMES,
    other_cpus=st.integers(0, 64),
    contexts=TICKS,
    forks=TICKS,
    running=st.integers(0, 10_000),
)
SAMPLES = st.builds(
    Counters,
    at=st.integers(0, 2**50).map(Nanoseconds),
    details_at=st.none() | st.integers(0, 2**50).map(Nanoseconds),
    stat=st.none() | STATS,
    softirqs=TABLES,
    interrupts=TABLES,
    load=st.none() | st.floats(0, 1e4),
    uptime=st.none() | st.floats(0, 1e9),
    pressure=st.none() | TICKS,
    own_running=st.none() | st.floats(0, 1e4),
)


@given(earlier=SAMPLES, later=SAMPLES)
def test_metrics_are_never_negative_and_shares_never_above_one(
    earlier: Counters, later: Counters
) -> None:
    metrics = metrics_between(earlier, later)

    assert all(value >= 0 for value in metrics.values())
    shares = [value for metric, value in metrics.items() if metric.startswith("cpu-")]
    assert all(value <= 1 for value in shares)


@given(
    samples=st.lists(SAMPLES, max_size=30),
    hardware=st.integers(0, 5),
    software=st.integers(0, 5),
    harm=st.sampled_from(
        [
            HarmState(),
            HarmState(harmed=False),
            *(
                HarmState(harmed=True, evidence=(Harm(uid="u", gauge=gauge, value=1.0),))
                for gauge in Gauge
            ),
        ]
    ),
)
def test_whatever_is_sampled_the_level_lies_in_0_to_20(
    samples: list[Counters], hardware: int, software: int, harm: HarmState
) -> None:
    state = WatchState()
    for sample in sorted(samples, key=lambda sample: sample.at):
        state = advance(state, sample, rules=DEFAULT_RULES, policy=GammaPolicy(), harm=harm)

    level = NodeAssurance(
        hardware=hardware,
        software=software,
        state=state.gamma.value,
        observed=datetime(2026, 1, 1, tzinfo=UTC),
        lease=Nanoseconds(NS_PER_S),
    ).level

    assert 0 <= level <= 20


@given(level=st.integers(0, 20), more=st.integers(0, 20))
def test_a_higher_level_is_never_fit_for_less(level: int, more: int) -> None:
    higher = min(20, level + more)

    assert assurance_class(higher) >= assurance_class(level)
    assert all(fitness(higher, c) >= fitness(level, c) for c in Criticality)


@given(
    facts=st.builds(
        SoftwareFacts,
        preemption=st.none() | st.sampled_from(Preemption),
        tick=st.none() | st.integers(1, 20 * NS_PER_MS).map(Nanoseconds),
        isolated=st.booleans(),
        group_budgets=st.booleans(),
        governor=st.none() | st.sampled_from(["performance", "powersave"]),
        multithreading=st.booleans(),
        virtual=st.booleans(),
    )
)
def test_the_proposal_for_the_software_part_lies_in_0_to_5(facts: SoftwareFacts) -> None:
    assert 0 <= propose_software_assurance(facts).value <= 5
