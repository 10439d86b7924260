"""Random groups of tasks on one core, in small integers, and adversarial runs of them."""

from collections.abc import Sequence
from random import Random

from k40s.cpu.analysis import containment
from k40s.cpu.analysis.containment import Group
from k40s.cpu.analysis.deferrable_server import deferrable, largest_budget
from k40s.cpu.analysis.response_time import TaskParameters
from k40s.cpu.synthesis import least_budget
from k40s.simulation.core import ENDLESS, CoreSimulation, SimServer, SimTask

NEVER_DUE = ENDLESS * 4
DURATION = 5_000


def random_tasks(chance: Random, shortest: int) -> tuple[TaskParameters, ...]:
    """One to three tasks (C, T, D) of 2 to 12 % each, the most urgent first."""
    tasks = []
    for _ in range(chance.randint(1, 3)):
        period = int(shortest * chance.uniform(1, 1.6))
        wcet = max(1, int(period * chance.uniform(0.02, 0.12)))
        tasks.append((wcet, period, chance.randint(max(wcet, period // 2), period)))
    return tuple(sorted(tasks, key=lambda task: task[2]))


def banded(chance: Random, tick: int, *, contained: float) -> list[Group]:
    """Up to four groups with disjoint bands, the first on top, and the least budgets.

    A share ``contained`` of them has budgets that contain their tasks; the others' are waited for.
    """
    groups: list[Group] = []
    priority = 1_000
    for number in range(chance.randint(2, 4)):
        tasks = random_tasks(chance, chance.randint(20, 60) * (1 + number))
        shortest = min(period for _, period, _ in tasks)
        period = chance.choice(
            (shortest, shortest, shortest // 2, chance.randint(10, 2 * shortest))
        )
        above = tuple(deferrable(*group.server) for group in groups)
        if chance.random() < contained:
            budget = containment.least_budget(tasks, period, above, tick)
        else:
            high = largest_budget(period, above, tick)
            budget = least_budget(tasks, (1, high), period, above, tick)
        if budget is not None:
            levels = tuple(range(priority, priority - len(tasks), -1))
            groups.append(Group((budget, period), tasks, levels))
            priority -= 10
    return groups


def interleaved(chance: Random) -> list[Group]:
    """Two or three groups whose priorities interleave and often are equal, of generous budgets."""
    groups = []
    for _ in range(chance.randint(2, 3)):
        tasks = random_tasks(chance, chance.randint(30, 120))
        period = min(t for _, t, _ in tasks) // chance.choice((1, 2))
        load = sum(wcet / interval for wcet, interval, _ in tasks)
        budget = min(period, max(2, int(period * load * chance.uniform(1.3, 3))))
        groups.append(Group((budget, period), tasks, tuple(chance.randint(1, 5) for _ in tasks)))
    return groups


def harmful_run(
    chance: Random, groups: Sequence[Group], tick: int, *, rogue: int | None, late_charges: bool
) -> CoreSimulation:
    """Let them run with random phases and releases, one group breaking its contract.

    The rogue has a hog above or below its tasks, always or in bursts, and is not judged. Of equal
    priorities any may go first.
    """
    core = CoreSimulation(
        tick=tick,
        tick_phase=chance.randrange(max(1, tick)),
        replenish_before_tick=chance.random() < 0.5,
        late_charges=late_charges,
    )
    together = chance.randrange(200)
    for number, group in enumerate(groups):
        budget, period = group.server
        tasks = [
            _task(chance, str(index), figures, priority, together)
            for index, (figures, priority) in enumerate(
                zip(group.tasks, group.priorities, strict=True)
            )
        ]
        if number == rogue:
            tasks.append(_hog(chance, group, tick))
        refill = 1 + chance.randrange(period)
        server = SimServer(
            name=str(number),
            budget=budget,
            period=period,
            next_replenishment=refill,
            tasks=tasks,
            judged=number != rogue,
        )
        core.add(server)
    core.run(DURATION)
    core.finish()
    return core


def _task(
    chance: Random, name: str, figures: TaskParameters, priority: float, together: int
) -> SimTask:
    wcet, period, deadline = figures
    pauses = tuple(chance.choice((0, 0, chance.randrange(period))) for _ in range(3))
    return SimTask(
        name=name,
        wcet=wcet,
        period=period,
        deadline=deadline,
        priority=priority + chance.uniform(-0.2, 0.2),
        release=together if chance.random() < 0.6 else chance.randrange(300),
        gaps=(0,) if chance.random() < 0.6 else pauses,
    )


def _hog(chance: Random, group: Group, tick: int) -> SimTask:
    budget, period = group.server
    bursts = chance.random() < 0.5
    above = chance.random() < 0.5
    return SimTask(
        name="hog",
        wcet=2 * budget + tick if bursts else ENDLESS,
        period=2 * period + chance.randrange(period) if bursts else ENDLESS,
        deadline=NEVER_DUE,
        priority=max(group.priorities) + 0.3 if above else min(group.priorities) - 0.3,
        release=chance.randrange(300),
        gaps=tuple(chance.randrange(period) for _ in range(3)),
    )
