"""Replays arrivals and departures on simulated cores, as unkindly as the model allows.

Every admitted task runs for its full WCET, overheads included. Phases of refills, ticks and
releases are arbitrary. Below the tasks of each server, inside its band, a hog may burn whatever
budget is left, always or in bursts; or a rogue above them ignores its contract, and then only the
other servers are judged.

Servers grow one after the other, from the lowest band upwards, and a pod starts to run only after
them; between two steps pass a server period, in which the old budget may still throttle, and the
longest deadline. The analyses speak of fixed sets, and say nothing of a job that sees two of them
(docs/theory.md). ``patient=False`` leaves the waits out.
"""

from random import Random

from k40s.cpu.figures import server_figures, task_figures
from k40s.cpu.model import CpuNode, Reservation
from k40s.simulation.core import ENDLESS, CoreSimulation, SimServer, SimTask
from k40s.units import NS_PER_US

NEVER_DUE = ENDLESS * 4


class Replay:
    """The cores of one node in simulated time, microseconds."""

    def __init__(
        self, node: CpuNode, chance: Random, *, tick: int | None = None, patient: bool = True
    ) -> None:
        self._chance = chance
        self._patient = patient
        self._tick = node.tick // NS_PER_US if tick is None else tick
        self.cores = {
            core: CoreSimulation(
                tick=self._tick,
                tick_phase=chance.randrange(max(1, self._tick)),
                refill_before_tick=chance.random() < 0.5,
            )
            for core in node.cores
        }

    @property
    def finished(self) -> int:
        """Jobs of tasks, hogs not counted, that ran to their end."""
        return sum(core.finished for core in self.cores.values())

    @property
    def misses(self) -> list[tuple[int, str, str]]:
        """(core, server, task) of every missed deadline."""
        return [
            (number, miss.server, miss.task)
            for number, core in self.cores.items()
            for miss in core.misses
        ]

    def follow(self, node: CpuNode) -> None:
        """Make the cores hold what the node holds: some go, some grow, then some come.

        All bands move at one instant, which keeps their order. Servers grow from the lowest band
        upwards, each when all jobs of before are due.
        """
        for number, core in self.cores.items():
            held = {_name(r): r for r in node.on_core(number)}
            for name in [name for name in core.servers if name not in held]:
                core.remove(name)
            patience = max(
                (s.period + t.deadline for s in core.servers.values() for t in _judged_tasks(s)),
                default=0,
            )
            patience *= self._patient
            for name, server in core.servers.items():
                _move_band(server, held[name])
            for name in reversed([name for name in held if name in core.servers]):
                budget, _ = server_figures(held[name].server)
                if budget != core.servers[name].budget:
                    core.grow(name, budget)
                    core.run(core.now + patience)
            for name in [name for name in held if name not in core.servers]:
                core.add(self._arriving(held[name], core.now, patience))

    def run(self, duration: int) -> None:
        """Let time pass on every core."""
        for core in self.cores.values():
            core.run(core.now + duration)

    def finish(self) -> None:
        """Judge what is still unfinished."""
        for core in self.cores.values():
            core.finish()

    def _arriving(self, reservation: Reservation, now: int, patience: int) -> SimServer:
        chance = self._chance
        budget, period = server_figures(reservation.server)
        refill = now + 1 + chance.randrange(period)
        start = now + patience
        exhausted = refill + -(-max(0, start - refill) // period) * period + budget
        tasks = []
        for task, priority in zip(reservation.tasks, reservation.priorities, strict=True):
            wcet, interval, deadline = task_figures(task)
            release = chance.choice(
                (start + chance.randrange(interval), exhausted, exhausted + chance.randrange(10))
            )
            gaps = (0,) * 3 if chance.random() < 0.7 else _gaps(chance, interval)
            tasks.append(
                SimTask(
                    name=task.name,
                    wcet=wcet,
                    period=interval,
                    deadline=deadline,
                    priority=priority,
                    release=release,
                    gaps=gaps,
                )
            )
        hog = self._hog(reservation, start, budget, period)
        rogue = hog is not None and hog.priority > max(reservation.priorities)
        return SimServer(
            name=_name(reservation),
            budget=budget,
            period=period,
            refill=refill,
            tasks=[*tasks, hog] if hog else tasks,
            judged=not rogue,
        )

    def _hog(
        self, reservation: Reservation, start: int, budget: int, period: int
    ) -> SimTask | None:
        chance = self._chance
        kind = chance.choice(("none", "always", "always", "bursts", "rogue", "late rogue"))
        if kind == "none":
            return None
        bottom = min(reservation.priorities) - 0.5
        top = max(reservation.priorities) + 0.5
        late = chance.randrange(3 * period)
        return SimTask(
            name="hog",
            wcet=2 * budget + self._tick if kind == "bursts" else ENDLESS,
            period=2 * period + late if kind == "bursts" else ENDLESS,
            deadline=NEVER_DUE,
            priority=top if "rogue" in kind else bottom,
            release=start + (0 if kind == "always" else late),
            gaps=_gaps(chance, period),
        )


def _name(reservation: Reservation) -> str:
    return f"{reservation.pod_uid}/{reservation.container}"


def _judged_tasks(server: SimServer) -> list[SimTask]:
    return [task for task in server.tasks if task.deadline != NEVER_DUE]


def _move_band(server: SimServer, reservation: Reservation) -> None:
    tasks = _judged_tasks(server)
    rogue = any(task.priority > max(t.priority for t in tasks) for task in server.tasks)
    for task, priority in zip(tasks, reservation.priorities, strict=True):
        task.priority = priority
    for task in server.tasks:
        if task.deadline == NEVER_DUE:
            task.priority = (
                max(reservation.priorities) + 0.5 if rogue else min(reservation.priorities) - 0.5
            )


def _gaps(chance: Random, period: int) -> tuple[int, ...]:
    return tuple(chance.choice((0, chance.randrange(period))) for _ in range(3))
