"""The monitor does not cry wolf, does not flap, and stays in its bounds."""

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from k40s.annotations import NodeAssurance
from k40s.assurance import assurance_class, fitness
from k40s.assurance.counters import Counters, CpuTimes, StatCounters
from k40s.assurance.detector import DEFAULT_RULES, AlarmState, Rule, observe
from k40s.assurance.gamma import GammaPolicy, GammaState, follow
from k40s.assurance.metrics import Metric, metrics_between
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

    assert not alarm.active or value >= rule.raise_at


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
            assert sum(value >= rule.clear_at for value in recent) >= rule.votes


POLICIES = st.builds(
    GammaPolicy,
    lower_step=st.integers(1, 10),
    lower_after=st.integers(0, 9 * NS_PER_S),
    lower_every=st.integers(1, 9 * NS_PER_S),
    raise_step=st.integers(1, 10),
    raise_after=st.integers(0, 9 * NS_PER_S),
    raise_every=st.integers(1, 9 * NS_PER_S),
)


@given(
    policy=POLICIES,
    begin=st.integers(0, 10),
    samples=st.lists(st.tuples(GAPS, st.booleans()), max_size=60),
)
def test_gamma_only_falls_in_hazard_and_only_rises_in_calm(
    policy: GammaPolicy, begin: int, samples: list[tuple[int, bool]]
) -> None:
    gamma, at = GammaState(value=begin), 0
    for gap, hazardous in samples:
        at += gap
        before = gamma.value
        gamma = follow(gamma, policy, at=Nanoseconds(at), hazardous=hazardous)
        assert 0 <= gamma.value <= 10
        assert gamma.value <= before if hazardous else gamma.value >= before


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
)
def test_whatever_is_sampled_the_level_lies_in_0_to_20(
    samples: list[Counters], hardware: int, software: int
) -> None:
    state = WatchState()
    for sample in sorted(samples, key=lambda sample: sample.at):
        state = advance(state, sample, rules=DEFAULT_RULES, policy=GammaPolicy())

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
