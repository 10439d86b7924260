"""Why a server's budget must be used up a tick before its period ends (docs/theory.md)."""

from itertools import accumulate

import pytest

from k40s.cpu.analysis.deferrable_server import largest_budget
from k40s.simulation.core import ENDLESS, CoreSimulation, SimServer, SimTask
from tests.oracles.late_charge import supplied

TICK = 40
PERIODS = 400


def worst_shortfall(budget: int, period: int) -> int:
    """Most that the group lags behind its budgets at the end of any period, over all phases."""
    lags = []
    for first_tick in range(1, TICK + 1):
        ran = supplied(
            budget=budget, period=period, tick=TICK, first_tick=first_tick, periods=PERIODS
        )
        lags += [n * budget - total for n, total in enumerate(accumulate(ran), start=1)]
    return max(lags)


@pytest.mark.parametrize("period", [41, 45, 60, 80, 97, 100, 150, 400])
def test_up_to_the_largest_budget_a_server_lags_by_at_most_a_tick(period: int) -> None:
    largest = largest_budget(period, (), TICK)

    lags = [worst_shortfall(budget, period) for budget in {1, largest // 2 or 1, largest}]

    assert max(lags) <= TICK


@pytest.mark.parametrize(("budget", "period"), [(21, 40), (39, 60), (50, 80), (2, 10)])
def test_beyond_it_the_lag_grows_without_end(budget: int, period: int) -> None:
    assert budget > largest_budget(period, (), TICK)

    assert worst_shortfall(budget, period) > 3 * TICK


@pytest.mark.parametrize(("budget", "period"), [(21, 40), (39, 60), (20, 97), (90, 150)])
def test_the_simulator_of_whole_cores_charges_as_late(budget: int, period: int) -> None:
    for first_tick in range(1, TICK + 1, 3):
        hog = SimTask(
            name="hog", wcet=ENDLESS, period=ENDLESS, deadline=ENDLESS, priority=1, release=0
        )
        server = SimServer(
            name="s", budget=budget, period=period, next_replenishment=period, tasks=[hog]
        )
        core = CoreSimulation(
            tick=TICK, tick_phase=first_tick, replenish_before_tick=True, late_charges=True
        )
        core.add(server)
        core.run(period * 50)

        ran = [0] * 50
        for _, start, end in core.consumed:
            for number in range(start // period, -(-end // period)):
                inside = min(end, (number + 1) * period) - max(start, number * period)
                ran[number] += inside

        assert tuple(ran) == supplied(
            budget=budget, period=period, tick=TICK, first_tick=first_tick, periods=50
        )
