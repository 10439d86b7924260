"""Samples of a quiet node may wait: no metric was high meanwhile, and no alarm is another."""

from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from daemons.malacoda.metrics import MonitorMetrics
from daemons.malacoda.monitor import Monitor
from daemons.malacoda.sampling.sampler import Sampler
from k40s.assurance.change_point import Cusum
from k40s.assurance.counters import Counters, CpuTimes, StatCounters
from k40s.assurance.detector import DEFAULT_RULES, Rule
from k40s.assurance.gamma import GammaPolicy
from k40s.assurance.metrics import Metric, metrics_between
from k40s.assurance.quiet import Spent, is_quiet, may_wait
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from tests.fakes.malacoda.close_look import CloseLook
from tests.fakes.malacoda.machine import FakeMachine
from tests.fakes.malacoda.world import FakeClock

TICKS = 20
"""Of a CPU in a turn."""
counts = st.sampled_from([0, 0, 1, 5, 20, 60])
times = st.builds(
    CpuTimes, user=counts, system=counts, idle=counts, iowait=counts, irq=counts, steal=counts
)
shares = st.sampled_from([0, 1, 2, 3, 3, 4, 5, 7, 9, 12, 20])
"""Of twenty ticks; the built-in rules clear, trend and raise at 0.3, between, and at 0.5."""
turns = st.tuples(shares, shares, st.sampled_from([1, 2, 5, 6, 9]), st.sampled_from([0, 1, 30]))
"""In user mode and in the kernel, tasks that run, and milliseconds that the turn is late."""
loads = st.lists(st.tuples(turns, st.integers(1, 7)), min_size=1, max_size=14)
"""Turns, each so many times."""
CALM = (5, 1, 2, 0)


@given(times, times, times, times, st.integers(0, 200), st.none() | st.floats(0, 200))
def test_where_it_is_quiet_no_built_in_rule_is_high_or_speaks_against_clearing(
    own: CpuTimes,
    more: CpuTimes,
    others: CpuTimes,
    rest: CpuTimes,
    running: int,
    counted: float | None,
) -> None:
    def stat(own: CpuTimes, others: CpuTimes, contexts: int) -> StatCounters:
        return StatCounters(
            own=own,
            own_cpus=2,
            others=others,
            other_cpus=3,
            contexts=contexts,
            forks=0,
            running=running,
        )

    earlier = Counters(at=Nanoseconds(0), stat=stat(own, others, 0))
    later = Counters(
        at=Nanoseconds(NS_PER_S), stat=stat(own + more, others + rest, 50), own_running=counted
    )

    if is_quiet(Spent.of(own), Spent.of(own + more)):
        metrics = metrics_between(earlier, later)
        assert all(metrics[rule.metric] < rule.clear_at for rule in DEFAULT_RULES)


@given(times, times, counts)
def test_waiting_for_io_that_steps_back_makes_no_busy_node_quiet(
    earlier: CpuTimes, more: CpuTimes, iowait: int
) -> None:
    later = replace(earlier + more, iowait=iowait)

    def stat(own: CpuTimes) -> StatCounters:
        return StatCounters(
            own=own, own_cpus=1, others=own, other_cpus=0, contexts=0, forks=0, running=1
        )

    if is_quiet(Spent.of(earlier), Spent.of(later)):
        metrics = metrics_between(
            Counters(at=Nanoseconds(0), stat=stat(earlier)),
            Counters(at=Nanoseconds(NS_PER_S), stat=stat(later)),
        )
        assert metrics[Metric.CPU_SYSTEM] < 0.2


def test_the_built_in_rules_let_samples_wait_and_those_of_other_metrics_do_not() -> None:
    low = Rule(metric=Metric.CPU_SYSTEM, raise_at=0.5, clear_at=0.1)
    other = Rule(metric=Metric.FORKS, raise_at=500, clear_at=100)

    assert may_wait(DEFAULT_RULES)
    assert not may_wait((low,))
    assert not may_wait((*DEFAULT_RULES, other))


votes = st.sampled_from([(1, 1), (2, 3), (6, 8), (7, 12), (30, 40)])
clears = {
    Metric.CPU_SYSTEM: st.sampled_from([0.2, 0.3, 0.4]),
    Metric.RUN_QUEUE: st.sampled_from([1.0, 4.0]),
    Metric.KERNEL_QUEUE: st.sampled_from([0.2, 1.0]),
    Metric.KERNEL_STRETCH: st.sampled_from([0.1, 0.5]),
}


@st.composite
def rules_of(draw: st.DrawFn, metric: Metric) -> Rule:
    """Any that let quiet samples wait."""
    clear, (needed, window) = draw(clears[metric]), draw(votes)
    change = Cusum(reference=clear, decision=draw(st.sampled_from([0.5, 3.0])) * clear)
    return Rule(
        metric=metric,
        raise_at=clear * draw(st.sampled_from([1.0, 1.5])),
        clear_at=clear,
        trend=draw(st.sampled_from([None, clear, 10 * clear])),
        votes=needed,
        window=window,
        hold=Nanoseconds(draw(st.sampled_from([1, 300, 5000])) * NS_PER_MS),
        change=draw(st.sampled_from([None, change])),
    )


profiles = st.tuples(*map(rules_of, clears))


def _alike(*spans: tuple[int, int, int]) -> list[tuple[tuple[int, int, int, int], int]]:
    """Ticks of ten in user mode and in the kernel, and for how many turns."""
    return [((2 * user, 2 * system, 2, 0), times) for user, system, times in spans]


@given(loads)
@example(_alike((0, 6, 5), (5, 1, 3), (0, 6, 1)))  # one short of the votes
@example(_alike((0, 6, 8), (5, 1, 100)))  # cleared as soon as the hold is over
@example([((18, 2, 9, 0), 12)])  # a queue without the kernel
@example([((0, n, 2, 0), 1) for n in (1, 2, 3, 5, 7, 8, 11, 11, 11, 11, 1, 1)])  # a rise
@example([*(((0, 3, 2, 0), 1),) * 4, ((0, 7, 2, 0), 8), ((0, 1, 2, 0), 3)])  # a step, no rise
@settings(max_examples=200)
def test_alarms_come_and_go_as_if_every_sample_were_judged(
    load: list[tuple[tuple[int, int, int, int], int]],
) -> None:
    _check(load)


@given(loads, profiles, profiles, st.sets(st.integers(0, 60), max_size=3), st.integers(0, 80))
@settings(max_examples=200)
def test_so_they_do_by_other_rules_that_change_and_where_samples_are_lost(
    load: list[tuple[tuple[int, int, int, int], int]],
    first: tuple[Rule, ...],
    second: tuple[Rule, ...],
    lost: set[int],
    change: int,
) -> None:
    _check(load, rules=first, second=second, lost=lost, change=change)


def test_most_samples_of_a_quiet_node_wait() -> None:
    _, judged = _changes([CALM] * 100, closely=False)

    assert judged == 26


def _check(
    load: list[tuple[tuple[int, int, int, int], int]],
    *,
    rules: tuple[Rule, ...] = DEFAULT_RULES,
    **events: Any,  # noqa: ANN401  # those of _changes
) -> None:
    spent = [CALM] * 12 + [turn for turn, times in load for _ in range(times)]

    waiting, judged = _changes(spent, closely=False, rules=rules, **events)
    closely, every = _changes(spent, closely=True, rules=rules, **events)

    assert waiting == closely
    assert judged <= every == len(spent)


def _changes(
    spent: list[tuple[int, int, int, int]],
    *,
    closely: bool,
    rules: tuple[Rule, ...] = DEFAULT_RULES,
    second: tuple[Rule, ...] = (),
    lost: AbstractSet[int] = frozenset(),
    change: int = -1,
) -> tuple[list[tuple[int, Metric, bool]], int]:
    """The turns at which an alarm was raised or cleared; how many were judged.

    In turn ``change`` the ``second`` rules come into force, in those that are ``lost`` /proc/stat
    cannot be read.
    """
    clock, found, judged = FakeClock(), list[tuple[int, Metric, bool]](), 0
    registry = CollectorRegistry()
    with TemporaryDirectory() as root:
        machine = FakeMachine(Path(root), cpus=2)
        sampler = Sampler(cpus={0}, clock=clock, root=Path(root), crowd=float("inf"))
        monitor = Monitor(
            source=CloseLook(sampler) if closely else sampler,
            rules=rules,
            policy=GammaPolicy(),
            metrics=MonitorMetrics(registry),
            clock=clock,
        )
        monitor.tick()
        for number, (user, system, running, late) in enumerate(spent):
            if number == change:
                monitor.follow(second)
            clock.pass_seconds(0.1 + late / 1000)
            machine.running, machine.contexts = running, machine.contexts + 200
            machine.spend(0, user, min(system, TICKS - user), of=TICKS)
            machine.spend(1, 0, 1, of=TICKS)
            if number in lost:
                (Path(root) / "stat").write_text("")
            before = set(monitor.state.hazards)
            judged += monitor.tick()
            after = set(monitor.state.hazards)
            found += [(number, metric, metric in after) for metric in sorted(before ^ after)]
        sampler.close()
    raised = Counter(metric for _, metric, on in found if on)
    for metric in clears:
        counted = registry.get_sample_value("k40s_malacoda_alarms_total", {"metric": metric.value})
        assert counted == raised[metric]
    return found, judged
