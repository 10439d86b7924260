"""The simulator is an oracle for others, so it is itself held to published figures."""

from itertools import product

from k40s.simulation.core import ENDLESS, CoreSimulation, SimServer, SimTask

HOG_DEADLINE = ENDLESS * 4


def hog(priority: float, release: int = 0) -> SimTask:
    return SimTask(
        name="hog",
        wcet=ENDLESS,
        period=ENDLESS,
        deadline=HOG_DEADLINE,
        priority=priority,
        release=release,
    )


def rogue(name: str, budget: int, period: int, refill: int, priority: float) -> SimServer:
    return SimServer(
        name=name,
        budget=budget,
        period=period,
        next_replenishment=refill,
        tasks=[hog(priority)],
        judged=False,
    )


def probe(wcet: int, priority: float, release: int) -> SimTask:
    return SimTask(
        name="probe",
        wcet=wcet,
        period=ENDLESS,
        deadline=HOG_DEADLINE,
        priority=priority,
        release=release,
    )


def longest_wait(wcet: int, above: tuple[int, int] | None = None) -> int:
    """Worst response of a job in a server (3, 10), over all phases of a hog below and one above."""
    worst = 0
    starts = [(refill, late) for refill in range(1, 11) for late in range(20)] if above else [None]
    for release, start in product(range(10), starts):
        core = CoreSimulation()
        if above is not None and start is not None:
            refill, late = start
            other = rogue("above", *above, refill, 10)
            other.tasks[0].release = release + late
            core.add(other)
        own = [probe(wcet, 5, release), hog(4)]
        core.add(SimServer(name="own", budget=3, period=10, next_replenishment=10, tasks=own))
        core.run(60)
        worst = max(worst, core.longest["own", "probe"])
    return worst


def test_one_server_reaches_the_published_bounds() -> None:
    reached = [longest_wait(wcet) for wcet in (3, 4, 7)]

    assert reached == [10, 18, 28]


def test_a_server_below_another_reaches_the_published_bounds() -> None:
    reached = [longest_wait(wcet, (2, 10)) for wcet in (3, 4)]

    assert reached == [14, 22]


def budget_received(own: tuple[int, int], above: list[tuple[int, int]]) -> int:
    """Longest time until a server that becomes busy with a full budget has received it."""
    budget, period = own
    worst = 0
    starts = [list(product(range(1, p + 1), range(4))) for _, p in above]
    for phases in product(*starts):
        core = CoreSimulation()
        for index, ((q, p), (refill, late)) in enumerate(zip(above, phases, strict=True)):
            other = rogue(f"above{index}", q, p, refill, 10 - index)
            other.tasks[0].release = late
            core.add(other)
        core.add(
            SimServer(
                name="own",
                budget=budget,
                period=period,
                next_replenishment=period,
                tasks=[probe(budget, 1, 0)],
            )
        )
        core.run(2 * period)
        worst = max(worst, core.longest["own", "probe"])
    return worst


def test_server_responses_reach_the_published_bounds() -> None:
    assert budget_received((2, 10), []) == 2
    assert budget_received((3, 10), [(2, 10)]) == 7
    assert budget_received((4, 20), [(2, 10), (3, 10)]) == 19


def bursts(core: CoreSimulation, name: str) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for server, start, end in core.consumed:
        if server != name:
            continue
        if merged and merged[-1][1] == start:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def test_an_ideal_server_can_spend_two_budgets_back_to_back() -> None:
    core = CoreSimulation()
    core.add(
        SimServer(
            name="s",
            budget=20,
            period=100,
            next_replenishment=100,
            tasks=[hog(1, 80)],
            judged=False,
        )
    )

    core.run(500)

    assert bursts(core, "s")[:2] == [(80, 120), (200, 220)]


def test_a_tick_enforced_server_overruns_and_pays_the_debt() -> None:
    core = CoreSimulation(tick=4_000, tick_phase=1_000)
    core.add(rogue("s", 250, 2_500, 2_500, 1))

    core.run(100_000)

    lengths = [end - start for start, end in bursts(core, "s")]
    gaps = [
        after[0] - before[1]
        for before, after in zip(bursts(core, "s"), bursts(core, "s")[1:], strict=False)
    ]
    assert max(lengths) > 10 * 250
    assert max(gaps) > 10 * 2_500
    assert sum(lengths) <= 100_000 // 2_500 * 250 + 250 + 4_000


def test_a_budget_used_to_the_last_unit_does_not_throttle_at_the_tick() -> None:
    core = CoreSimulation(tick=4, tick_phase=0)
    core.add(rogue("s", 8, 100, 100, 1))

    core.run(99)

    assert bursts(core, "s") == [(0, 12)]


def test_a_debt_of_a_whole_budget_keeps_the_server_off_for_another_period() -> None:
    core = CoreSimulation(tick=4, tick_phase=0)
    core.add(rogue("s", 2, 10, 10, 1))

    core.run(40)

    assert bursts(core, "s")[:2] == [(0, 4), (20, 24)]


def consumption_beside_ticks(*, only_at_ticks: bool) -> int:
    """What a hog consumes whom a more urgent thread displaces at every tick."""
    core = CoreSimulation(tick=4, tick_phase=0, only_at_ticks=only_at_ticks)
    metronome = SimTask(name="m", wcet=1, period=4, deadline=4, priority=2, release=3)
    core.add(
        SimServer(name="top", budget=100, period=100, next_replenishment=100, tasks=[metronome])
    )
    core.add(rogue("below", 5, 100, 100, 1))
    core.run(100)
    return sum(end - start for start, end in bursts(core, "below"))


def test_the_overrun_is_bounded_because_descheduling_compares_too() -> None:
    assert consumption_beside_ticks(only_at_ticks=False) <= 5 + 4
    assert consumption_beside_ticks(only_at_ticks=True) > 50


def test_an_idle_group_starts_its_period_afresh_with_the_next_job() -> None:
    core = CoreSimulation(tick=1)
    core.add(
        SimServer(
            name="s", budget=5, period=10, next_replenishment=10, tasks=[hog(1, 17)], judged=False
        )
    )

    core.run(60)

    assert bursts(core, "s")[0] == (17, 23)
    assert bursts(core, "s")[1][0] == 27


def test_misses_are_reported_for_finished_unfinished_and_removed_jobs() -> None:
    core = CoreSimulation()
    late = SimTask(name="late", wcet=3, period=20, deadline=2, priority=2, release=0)
    starved = SimTask(name="starved", wcet=90, period=200, deadline=50, priority=1, release=0)
    core.add(SimServer(name="a", budget=5, period=10, next_replenishment=10, tasks=[late]))
    core.add(SimServer(name="b", budget=1, period=10, next_replenishment=10, tasks=[starved]))

    core.run(100)
    core.remove("b")
    core.finish()

    assert {(miss.server, miss.task) for miss in core.misses} == {("a", "late"), ("b", "starved")}
