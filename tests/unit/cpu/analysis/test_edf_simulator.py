"""The simulator of SCHED_DEADLINE is itself held to what is known of the kernel."""

from k40s.simulation.core import ENDLESS, CoreSimulation, SimServer, SimTask
from k40s.simulation.edf import DeadlineSimulation, SimThread


def thread(
    name: str,
    budget: int,
    period: int,
    *,
    wcet: int,
    deadline: int | None = None,
    release: int = 0,
    interval: int | None = None,
    judged: bool = True,
) -> SimThread:
    due = period if deadline is None else deadline
    task = SimTask(
        name="t",
        wcet=wcet,
        period=period if interval is None else interval,
        deadline=due,
        priority=0,
        release=release,
    )
    return SimThread(
        name=name, budget=budget, deadline=due, period=period, task=task, judged=judged
    )


def hog(name: str, budget: int, period: int) -> SimThread:
    return thread(name, budget, period, wcet=ENDLESS, interval=ENDLESS, judged=False)


def runs(simulation: DeadlineSimulation, name: str) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for who, start, end in simulation.consumed:
        if who == name:
            if joined and joined[-1][1] == start:
                joined[-1] = (joined[-1][0], end)
            else:
                joined.append((start, end))
    return joined


def test_the_earliest_deadline_runs_first() -> None:
    simulation = DeadlineSimulation()
    simulation.add(thread("late", 4, 20, wcet=3))
    simulation.add(thread("early", 3, 10, wcet=2))

    simulation.run(20)

    assert simulation.longest == {"early": 2, "late": 5}
    assert simulation.misses == []


def test_exact_enforcement_gives_a_hog_its_budget_in_every_period() -> None:
    simulation = DeadlineSimulation()
    simulation.add(hog("hog", 2, 10))

    simulation.run(40)

    assert runs(simulation, "hog") == [(0, 2), (10, 12), (20, 22), (30, 32)]


def test_ticks_let_a_hog_overrun_and_later_deadlines_pay_for_it() -> None:
    simulation = DeadlineSimulation(tick=4_000)
    simulation.add(hog("hog", 1_000, 10_000))

    simulation.run(2_000_000)

    used = sum(end - start for start, end in runs(simulation, "hog"))
    assert runs(simulation, "hog")[0] == (0, 4_000)
    assert abs(used - 200_000) <= 5_000


def test_a_thread_that_keeps_its_contract_is_never_throttled() -> None:
    simulation = DeadlineSimulation(tick=4_000, tick_phases=[1])
    simulation.add(thread("kept", 3_001, 10_000, wcet=3_000))
    simulation.add(hog("hog", 1_000, 20_000))

    simulation.run(1_000_000)

    assert simulation.misses == []
    assert simulation.longest["kept"] <= 3_000 + 4_000


def test_more_demand_than_there_is_time_is_seen_to_miss() -> None:
    simulation = DeadlineSimulation()
    simulation.add(thread("a", 7, 10, wcet=6))
    simulation.add(thread("b", 7, 10, wcet=6))

    simulation.run(100)
    simulation.finish()

    assert simulation.misses


def test_two_cpus_run_two_threads_and_one_with_high_density_can_be_late() -> None:
    simulation = DeadlineSimulation(tick_phases=[0, 0])
    for name in ("a", "b"):
        simulation.add(thread(name, 2, 9, wcet=1))
    simulation.add(thread("heavy", 11, 11, wcet=10, deadline=10))

    simulation.run(12)

    assert simulation.longest == {"a": 1, "b": 2, "heavy": 11}
    assert [miss.server for miss in simulation.misses] == ["heavy"]


def test_servers_below_run_only_while_no_thread_has_their_core() -> None:
    core = CoreSimulation()
    task = SimTask(name="t", wcet=3, period=20, deadline=20, priority=5, release=0)
    core.add(SimServer(name="s", budget=3, period=10, next_replenishment=10, tasks=[task]))
    simulation = DeadlineSimulation(below=[core])
    simulation.add(hog("hog", 4, 10))

    simulation.run(20)

    assert core.longest["s", "t"] == 7
    assert core.consumed == [("s", 4, 7)]


def test_a_thread_with_a_deadline_below_its_period_wakes_with_less_budget() -> None:
    sleeper = thread("sleeper", 4, 20, wcet=1, deadline=8, interval=6)
    simulation = DeadlineSimulation()
    simulation.add(sleeper)

    simulation.run(6)
    simulation.run(7)

    assert sleeper.due == 8
    assert sleeper.left == 4 * 2 // 8 - 1


def test_a_thread_that_leaves_unfinished_work_behind_is_judged() -> None:
    simulation = DeadlineSimulation()
    simulation.add(thread("slow", 1, 10, wcet=5))

    simulation.run(30)
    simulation.remove("slow")

    assert [miss.release for miss in simulation.misses] == [0, 10]
