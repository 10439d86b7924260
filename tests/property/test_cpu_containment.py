"""Budgets that contain, interleaved priorities, nesting and changes, against exact simulation."""

from random import Random

import pytest

from k40s.cpu.analysis import containment
from k40s.cpu.analysis.containment import Group, core_responses, group_responses
from k40s.cpu.analysis.deferrable_server import deferrable, least_ancestor_budget
from k40s.cpu.analysis.mode_change import longest_blackout
from k40s.cpu.analysis.response_time import task_response
from k40s.simulation.core import ENDLESS, CoreSimulation, SimServer, SimTask
from tests.oracles.random_groups import NEVER_DUE, banded, harmful_run, interleaved

ENFORCED = [(0, False), (1, False), (2, False), (4, False), (1, True), (2, True), (4, True)]
"""Ticks, and whether refills pay only for what is charged by then."""


def exceeded(core: CoreSimulation, groups: list[Group], bounds: list[tuple[int, ...]]) -> int:
    """How many tasks ran longer than bounded; those of the rogue don't count."""
    return sum(
        core.longest.get((str(number), str(index)), 0) > bound
        for number in range(len(groups))
        if core.servers[str(number)].judged
        for index, bound in enumerate(bounds[number])
    )


def bounds_of(groups: list[Group], tick: int) -> list[tuple[int, ...]]:
    """Responses in each group: unstopped where its budget contains it, else waiting for it."""
    found = []
    for number in range(len(groups)):
        bounds = group_responses(number, groups, tick)
        assert bounds is not None
        found.append(bounds)
    return found


@pytest.mark.parametrize(("tick", "late_charges"), ENFORCED)
@pytest.mark.parametrize("contained", [1.0, 0.6])
def test_beside_a_rogue_contained_and_other_groups_keep_their_bounds(
    tick: int, contained: float, *, late_charges: bool
) -> None:
    chance = Random(f"{tick} {late_charges} {contained}")
    judged = reached = 0

    for _ in range(20):
        groups = banded(chance, tick, contained=contained)
        bounds = bounds_of(groups, tick)
        for rogue in (None, *range(len(groups))):
            core = harmful_run(chance, groups, tick, rogue=rogue, late_charges=late_charges)
            assert core.misses == []
            assert exceeded(core, groups, bounds) == 0
            judged += len(core.longest)
            reached += any(core.longest.get(("0", str(i))) == b for i, b in enumerate(bounds[0]))

    assert judged > 200
    assert reached > 0


@pytest.mark.parametrize(("tick", "late_charges"), [(0, False), (1, True), (4, True)])
def test_one_unit_less_than_the_least_containing_budget_is_seen_to_miss(
    tick: int, *, late_charges: bool
) -> None:
    chance = Random(21)
    missed = tried = 0

    while missed < 3:
        tried += 1
        assert tried < 150
        groups = banded(chance, tick, contained=1.0)
        short = [g._replace(server=(max(1, g.server[0] - 1), g.server[1])) for g in groups]
        core = harmful_run(chance, short, tick, rogue=None, late_charges=late_charges)
        missed += bool(core.misses)


def test_a_window_without_the_tick_is_seen_to_miss() -> None:
    task = (50, 199, 50)

    def runs_with_misses(budget: int) -> int:
        groups = [Group((budget, 190), (task,), (1,))]
        runs = (
            harmful_run(Random(seed), groups, 40, rogue=None, late_charges=True)
            for seed in range(40)
        )
        return sum(bool(core.misses) for core in runs)

    assert runs_with_misses(containment.most_used((task,), (50,), 190)) > 0
    assert runs_with_misses(containment.most_used((task,), (50,), 190 + 40)) == 0


@pytest.mark.parametrize(("tick", "late_charges"), ENFORCED)
def test_interleaved_and_equal_priorities_keep_their_bounds(
    tick: int, *, late_charges: bool
) -> None:
    chance = Random(f"{tick} {late_charges}")
    accepted = 0

    while accepted < 20:
        groups = interleaved(chance)
        bounds = core_responses(groups, tick)
        if bounds is None:
            continue
        accepted += 1
        for rogue in (None, 0, 1):
            core = harmful_run(chance, groups, tick, rogue=rogue, late_charges=late_charges)
            assert core.misses == []
            assert exceeded(core, groups, list(bounds)) == 0


def test_ignoring_equal_priorities_is_seen_to_miss() -> None:
    chance = Random(5)
    missed = False
    tried = 0

    while not missed:
        tried += 1
        assert tried < 400
        groups = [g._replace(priorities=(3,) * len(g.tasks)) for g in interleaved(chance)]
        alone = all(group_responses(0, [group], 0) is not None for group in groups)
        if alone and core_responses(groups, 0) is None:
            core = harmful_run(chance, groups, 0, rogue=None, late_charges=False)
            missed = bool(core.misses)


@pytest.mark.parametrize("tick", [0, 1, 4])
def test_a_task_that_waits_for_its_budget_never_has_less_than_one_that_does_not(tick: int) -> None:
    chance = Random(tick)
    compared = 0

    for _ in range(200):
        groups = banded(chance, tick, contained=0)
        for number, (server, tasks, _) in enumerate(groups):
            above = tuple(deferrable(*group.server) for group in groups[:number])
            for index, task in enumerate(tasks):
                waiting = task_response(task, tasks[:index], server, above, tick)
                free = containment.task_response(task, tasks[:index], above, tick)
                assert waiting is not None
                assert free is not None
                assert free <= waiting
                compared += 1

    assert compared > 400


def most_in_any_window(core: CoreSimulation, window: int) -> int:
    """Most that all servers ran in any window that begins where one starts to run."""
    total = 0
    until = []
    for _, start, end in core.consumed:
        until.append((start, total, end))
        total += end - start
    most = last = 0
    for begin, before, _ in until:
        while last + 1 < len(until) and until[last + 1][0] < begin + window:
            last += 1
        start, used, end = until[last]
        most = max(most, used + min(end, begin + window) - start - before)
    return most


@pytest.mark.parametrize("tick", [0, 1, 4])
def test_an_ancestor_with_its_least_budget_is_never_used_up(tick: int) -> None:
    chance = Random(tick)

    for _ in range(12):
        groups = banded(chance, tick, contained=0.5)
        for rogue in range(len(groups)):
            core = harmful_run(chance, groups, tick, rogue=rogue, late_charges=tick > 0)
            period = chance.choice((20, 50, 200, 1_000))
            used = most_in_any_window(core, period + tick)
            assert used <= least_ancestor_budget([g.server for g in groups], period, tick)


@pytest.mark.parametrize("tick", [0, 1, 4])
def test_no_change_of_a_live_group_blacks_it_out_longer_than_bounded(tick: int) -> None:
    chance = Random(tick)
    longest = 0.0

    for _ in range(300):
        before, after = _random_server(chance), _random_server(chance)
        core = CoreSimulation(
            tick=tick, tick_phase=chance.randrange(max(1, tick)), late_charges=tick > 0
        )
        core.add(_hog_alone(before))
        core.run(chance.randrange(300))
        changed = core.now
        server = core.servers["hog"]
        server.budget, server.period = after
        core.run(changed + 2_000)
        idle = changed
        for _, start, end in core.consumed:
            if end > changed:
                assert start - idle <= longest_blackout(before, after, tick)
                longest = max(longest, (start - idle) / longest_blackout(before, after, tick))
                idle = end

    assert longest > 0.7


def _random_server(chance: Random) -> tuple[int, int]:
    period = chance.randint(2, 100)
    return chance.randint(1, period), period


def _hog_alone(figures: tuple[int, int]) -> SimServer:
    budget, period = figures
    task = SimTask(
        name="t", wcet=ENDLESS, period=ENDLESS, deadline=NEVER_DUE, priority=1, release=0
    )
    return SimServer(
        name="hog", budget=budget, period=period, next_replenishment=period, tasks=[task]
    )
