"""Samples of a quiet node may wait: no metric was high meanwhile, and no alarm is another."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from daemons.malacoda.metrics import MonitorMetrics
from daemons.malacoda.monitor import Monitor
from daemons.malacoda.sampling.sampler import Sampler
from k40s.assurance.counters import Counters, CpuTimes, StatCounters
from k40s.assurance.detector import DEFAULT_RULES, Rule
from k40s.assurance.gamma import GammaPolicy
from k40s.assurance.metrics import Metric, metrics_between
from k40s.assurance.quiet import Spent, is_quiet, may_wait
from k40s.units import NS_PER_S, Nanoseconds
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
    spent = [CALM] * 12 + [turn for turn, times in load for _ in range(times)]

    waiting, judged = _changes(spent, closely=False)
    closely, every = _changes(spent, closely=True)

    assert waiting == closely
    assert judged <= every == len(spent)


def test_most_samples_of_a_quiet_node_wait() -> None:
    assert _changes([CALM] * 100, closely=False) == ([], 26)


def _changes(
    spent: list[tuple[int, int, int, int]], *, closely: bool
) -> tuple[list[tuple[int, Metric, bool]], int]:
    """The turns at which an alarm was raised or cleared; how many were judged."""
    clock, found, judged = FakeClock(), list[tuple[int, Metric, bool]](), 0
    with TemporaryDirectory() as root:
        machine = FakeMachine(Path(root), cpus=2)
        sampler = Sampler(cpus={0}, clock=clock, root=Path(root), crowd=float("inf"))
        monitor = Monitor(
            source=CloseLook(sampler) if closely else sampler,
            rules=DEFAULT_RULES,
            policy=GammaPolicy(),
            metrics=MonitorMetrics(CollectorRegistry()),
            clock=clock,
        )
        monitor.tick()
        for number, (user, system, running, late) in enumerate(spent):
            clock.pass_seconds(0.1 + late / 1000)
            machine.running, machine.contexts = running, machine.contexts + 200
            machine.spend(0, user, min(system, TICKS - user), of=TICKS)
            machine.spend(1, 0, 1, of=TICKS)
            before = set(monitor.state.hazards)
            judged += monitor.tick()
            after = set(monitor.state.hazards)
            found += [(number, metric, metric in after) for metric in sorted(before ^ after)]
        sampler.close()
    return found, judged
