"""No exchange of servers on a live core makes a job late, and the simulation could see it."""

from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k40s.cpu.admission.admit import admit
from k40s.cpu.admission.exchange import Exchange, Step, drain_time, holds_both, move_slack
from k40s.cpu.admission.resynthesis import admit_or_exchange
from k40s.cpu.admission.schedulability import node_holds
from k40s.cpu.linux import quantize_task
from k40s.cpu.model import CpuNode, Reservation, Server, Task
from k40s.cpu.outcome import Admission
from k40s.criticality import Criticality
from k40s.simulation.core import ENDLESS, CoreSimulation, SimServer, SimTask
from k40s.units import NS_PER_MS, NS_PER_US, Nanoseconds
from tests.oracles.exchange_replay import ExchangeReplay
from tests.oracles.pods import empty_node, falling_pods

EXAMPLES = settings().max_examples


@dataclass
class Tally:
    exchanges: int = 0
    moved: int = 0
    jobs: int = 0


def live(replay: ExchangeReplay, node: CpuNode, chance: Random, tally: Tally) -> None:
    """Pods arrive, those with the longest periods first; all that is admitted runs."""
    tick_ms = node.tick // 1_000_000
    for demand in falling_pods(chance, tick_ms, 6):
        outcome = admit_or_exchange(node, demand)
        if isinstance(outcome, Admission):
            node = outcome.node
            replay.note_bounds(node)
            replay.follow(node)
        elif isinstance(outcome, Exchange):
            tally.exchanges += 1
            node = replay.exchange(node, outcome)
        replay.run(chance.randrange(100_000, 1_000_000))
    replay.finish()
    tally.moved += replay.moved
    tally.jobs += replay.finished


@pytest.mark.parametrize("tick_ms", [0, 1, 4, 10])
def test_no_exchange_misses_a_deadline_or_exceeds_a_bound(tick_ms: int) -> None:
    tally = Tally()

    @settings(max_examples=max(20, EXAMPLES // 2))
    @given(st.integers(0, 2**32))
    def check(seed: int) -> None:
        chance = Random(seed)
        node = empty_node(tick_ms)
        if chance.random() < 0.3:
            node = replace(node, shared_groups=True, node_capacity=Fraction(95, 100))
        replay = ExchangeReplay(node, chance)
        live(replay, node, chance, tally)
        assert replay.misses == []
        assert replay.exceeding(replay.bounds) == []

    check()

    assert tally.exchanges > 0
    assert tally.moved > 0
    assert tally.jobs > 30 * EXAMPLES // 2


def unverified_step(node: CpuNode, held: Reservation, chance: Random) -> Step | None:
    """A step that the full test refuses: a second group of another size at the same levels."""
    budget, period = held.server.budget, held.server.period
    longer = Nanoseconds(int(period * chance.uniform(1.1, 2)) // NS_PER_US * NS_PER_US)
    more = Nanoseconds(int(budget * chance.uniform(1.5, 3)) // NS_PER_US * NS_PER_US)
    if more > longer:
        return None
    after = replace(held, server=Server(budget=more, period=longer))
    others = tuple(r for r in node.on_core(held.core) if r is not held)
    alone = node.holding((*others, after))
    if not holds_both(alone, after) or holds_both(node.holding((*node.reservations, after)), after):
        return None
    return Step(before=held, after=after, others=others)


def test_where_both_groups_are_not_counted_misses_are_seen() -> None:
    """Each group alone beside the others passes the full test; both together do not."""
    tried = late = 0
    for seed in range(600):
        chance = Random(seed)
        node = empty_node(0)
        for demand in falling_pods(chance, 0, 4):
            outcome = admit(node, demand)
            node = outcome.node if isinstance(outcome, Admission) else node
        held = chance.choice(node.reservations)
        step = unverified_step(node, held, chance)
        if step is None:
            continue
        tried += 1
        replay = ExchangeReplay(node, chance, departures=0, trusting=True)
        replay.follow(node)
        replay.run(500_000)
        replay.carry_out(node, step)
        replay.finish()
        late += bool(replay.misses)
        if late == 2:
            break

    assert late == 2
    assert tried > 3


def reservation(
    pod: str, server: tuple[int, int], task: tuple[int, int], priority: int
) -> Reservation:
    """All in milliseconds."""
    budget, period = (Nanoseconds(time * NS_PER_MS) for time in server)
    wcet, interval = (Nanoseconds(time * NS_PER_MS) for time in task)
    return Reservation(
        pod_uid=pod,
        container="c",
        core=0,
        criticality=Criticality.LOW,
        server=Server(budget=budget, period=period),
        tasks=(Task(name="t", wcet=wcet, period=interval, deadline=interval),),
        priorities=(priority,),
    )


def simulated(held: Reservation, refill: int, *tasks: SimTask) -> SimServer:
    """A server in simulated milliseconds, filled again at the instant ``refill``."""
    return SimServer(
        name=f"{held.pod_uid}{held.priorities}",
        budget=held.server.budget // NS_PER_US,
        period=held.server.period // NS_PER_US,
        next_replenishment=refill * 1_000,
        tasks=list(tasks),
        judged=held.pod_uid == "judged",
    )


def hog(held: Reservation, wakes: int) -> SimTask:
    return SimTask(
        name="hog",
        wcet=ENDLESS,
        period=ENDLESS,
        deadline=ENDLESS * 4,
        priority=min(held.priorities) - 0.5,
        release=wakes * 1_000,
    )


def job_of(held: Reservation, released: int) -> SimTask:
    wcet, period, deadline = quantize_task(held.tasks[0])
    return SimTask(
        name="t",
        wcet=wcet,
        period=period,
        deadline=deadline,
        priority=held.priorities[0],
        release=released * 1_000,
    )


@pytest.mark.parametrize(("pause", "late"), [(0, True), (215, False)])
def test_without_the_wait_after_a_step_a_job_sees_three_servers(pause: int, late: bool) -> None:
    """The old group, the second one, and then the newcomer, each with two budgets in a row."""
    old = reservation("moved", (15, 100), (1, 100), 98)
    new = reservation("moved", (15, 90), (1, 100), 97)
    newcomer = reservation("new", (15, 100), (1, 100), 96)
    victim = reservation("judged", (53, 100), (26, 100), 95)
    node = empty_node(0)
    assert node_holds(node.holding((old, new, victim)))
    assert node_holds(node.holding((new, newcomer, victim)))
    assert not node_holds(node.holding((old, new, newcomer, victim)))
    assert drain_time(node.holding((old, new, victim)), 0) == 200 * NS_PER_MS

    core = CoreSimulation()
    core.add(simulated(victim, 100, job_of(victim, 200)))
    core.add(simulated(old, 215, hog(old, 200)))
    core.add(simulated(new, 245, hog(new, 230)))
    core.run(230_000)
    core.remove("moved(98,)")
    start = 260 + pause
    core.run(start * 1_000)
    core.add(simulated(newcomer, start + 15, hog(newcomer, start)))
    core.run(600_000)
    core.finish()

    assert bool(core.misses) is late


@pytest.mark.parametrize("asleep", [True, False])
def test_a_thread_that_moves_in_the_middle_of_its_job_may_be_late(asleep: bool) -> None:
    """It has waited for its old budget, and waits for the second one as well."""
    old = reservation("judged", (6, 25), (20, 100), 98)
    new = reservation("judged", (7, 26), (20, 100), 97)
    node = empty_node(0).holding((old, new))
    assert holds_both(node, new)
    task = job_of(old, 6)

    core = CoreSimulation()
    core.add(simulated(old, 25, task, hog(old, 0)))
    core.add(simulated(new, 3, hog(new, 81)))
    core.run((105 if asleep else 89) * 1_000)
    assert bool(task.jobs) is not asleep
    core.move(task, "judged(98,)", "judged(97,)", 97)
    core.run(300_000)
    core.finish()

    assert bool(core.misses) is not asleep


def test_a_thread_that_wakes_while_it_is_moved_is_in_time() -> None:
    """Released up to the slack before, and all of its budget spent: the bound covers that."""
    old = reservation("judged", (6, 25), (20, 100), 98)
    new = reservation("judged", (7, 26), (20, 100), 97)
    assert move_slack(old.tasks[0]) == NS_PER_MS
    task = job_of(old, 6)

    core = CoreSimulation()
    core.add(simulated(old, 25, task, hog(old, 0)))
    core.add(simulated(new, 23, hog(new, 0)))
    core.run(7_000)
    core.move(task, "judged(98,)", "judged(97,)", 97)
    core.run(300_000)
    core.finish()

    assert core.misses == []
