"""The worst known scenario for one server.

A hog below the tasks uses the budget up at the start of a server period; then all its tasks are
released at once and wait for the rest of that period. The servers above are silent until a later
period of the victim begins. Then each becomes a hog just before its own replenishment, so that it
spends two budgets back to back, and where budgets are checked at ticks, overruns. A victim whose
budget contains its tasks has no hog, and suffers all of that as soon as they are released.
"""

from random import Random

from k40s.cpu.linux import quantize_server, quantize_task
from k40s.cpu.model import CpuNode, Reservation
from k40s.simulation.core import ENDLESS, CoreSimulation, SimServer, SimTask

NEVER_DUE = ENDLESS * 4


def ambush(
    node: CpuNode, victim: Reservation, chance: Random, *, tick: int, contained: bool = False
) -> CoreSimulation:
    """Stage it for a victim among the reservations of its core, and let it run.

    Times in microseconds. ``chance`` chooses the phase of the ticks, and in which period of the
    victim the servers above wake up.
    """
    budget, period = quantize_server(victim.server)
    above = [r for r in node.on_core(victim.core) if max(r.priorities) > max(victim.priorities)]
    start = 2 * max([period, *(quantize_server(r.server)[1] for r in above)])
    exhausted = start + budget
    phase = chance.choice((exhausted, exhausted + 1, chance.randrange(1 << 20))) % max(1, tick)
    core = CoreSimulation(tick=tick, tick_phase=phase, replenish_before_tick=chance.random() < 0.5)
    released = exhausted if not tick else exhausted + tick - (exhausted - phase) % tick
    core.add(_victim(victim, start, released, hog=not contained))
    load = tick
    wakings = []
    for task in sorted(victim.tasks, key=lambda t: t.deadline):
        load += quantize_task(task)[0]
        wakings.append(start + (load - 1) // budget * period + period)
    if contained:
        wakings = [released]
    waking = chance.choice(wakings) - chance.choice((0, 0, 0, tick, period))
    offset = 0
    for rival in above:
        spent, interval = quantize_server(rival.server)
        offset += chance.choice((spent, spent, 2 * spent))
        core.add(_rival(rival, waking, waking + offset - interval))
    core.run(released + 3 * max(quantize_task(t)[1] for t in victim.tasks))
    core.finish()
    return core


def _victim(victim: Reservation, start: int, released: int, *, hog: bool) -> SimServer:
    budget, period = quantize_server(victim.server)
    tasks = []
    for index, (task, priority) in enumerate(zip(victim.tasks, victim.priorities, strict=True)):
        wcet, interval, deadline = quantize_task(task)
        tasks.append(
            SimTask(
                name=str(index),
                wcet=wcet,
                period=interval,
                deadline=deadline,
                priority=priority,
                release=released,
            )
        )
    if hog:
        tasks.append(_hog(min(victim.priorities) - 0.5, start))
    return SimServer(
        name="victim", budget=budget, period=period, next_replenishment=start + period, tasks=tasks
    )


def _rival(rival: Reservation, waking: int, kick: int) -> SimServer:
    """A hog that wakes up; a short job one period before replenishment keeps its timer in phase."""
    budget, period = quantize_server(rival.server)
    priority = max(rival.priorities)
    prod = SimTask(
        name="prod",
        wcet=1,
        period=ENDLESS,
        deadline=NEVER_DUE,
        priority=priority,
        release=max(0, kick),
    )
    return SimServer(
        name=f"{rival.pod_uid}/{rival.container}",
        budget=budget,
        period=period,
        next_replenishment=kick + period,
        tasks=[prod, _hog(priority, waking)],
        judged=False,
    )


def _hog(priority: float, release: int) -> SimTask:
    return SimTask(
        name="hog",
        wcet=ENDLESS,
        period=ENDLESS,
        deadline=NEVER_DUE,
        priority=priority,
        release=release,
    )
