"""Replays arrivals and departures on simulated cores, as adversely as the model allows.

Every admitted task runs for its full WCET, overheads included. Phases of replenishments, ticks and
releases are arbitrary. Below the tasks of each server, inside its band, a hog may burn whatever
budget is left, always or in bursts; or a rogue above them ignores its contract, and then only the
other servers are judged. A container whose budget contains its tasks obeys, or is not judged: its
bounds depend on that. Tasks of one priority are served in the order in which they come, or one of
them always first: analyses must bear either. So it is with threads of SCHED_DEADLINE: the threads
of a pod may run on for ever, or wake and sleep as they like, and then all but that pod are judged.

Servers grow one after the other, from the lowest band upwards, and a pod starts to run only after
them; between two steps pass a server period, in which the old budget may still throttle, and the
longest deadline. The analyses speak of fixed sets, and say nothing of a job that sees two of them
(docs/theory.md). ``patient=False`` leaves the waits out. No thread starts before the last deadline
of a thread of SCHED_DEADLINE that has gone.
"""

from collections.abc import Iterator, Mapping, Sequence
from random import Random

from k40s.cpu.linux import quantize_server, quantize_task
from k40s.cpu.model import ANY_CORE, CpuNode, Domain, Mechanism, Reservation
from k40s.simulation.core import ENDLESS, CoreSimulation, SimServer, SimTask
from k40s.simulation.edf import DeadlineSimulation, SimThread
from k40s.units import NS_PER_US
from tests.oracles.bounds import contained, name_of

NEVER_DUE = ENDLESS * 4


class Replay:
    """The cores of one node in simulated time, microseconds."""

    def __init__(
        self, node: CpuNode, chance: Random, *, tick: int | None = None, patient: bool = True
    ) -> None:
        self._chance = chance
        self._patient = patient
        self._tick = node.tick // NS_PER_US if tick is None else tick
        self._now = 0
        self._quiet_until = 0
        self._rogues: dict[str, bool] = {}
        self._ties = chance.choice((0.0, 0.2))
        self.contained: set[str] = set()
        """Servers that contain their tasks."""
        phases = [chance.randrange(max(1, self._tick)) for _ in node.cores]
        self.cores = {
            core: CoreSimulation(
                tick=self._tick,
                tick_phase=phase,
                replenish_before_tick=chance.random() < 0.5,
                late_charges=self._tick > 0 and chance.random() < 0.5,
            )
            for core, phase in zip(node.cores, phases, strict=True)
        }
        shared = node.deadline is not None and node.deadline.domain is Domain.SHARED
        parts = [list(node.cores)] if shared else [[core] for core in node.cores]
        self.domains = [
            DeadlineSimulation(
                tick=self._tick,
                tick_phases=[self.cores[core].tick_phase for core in part],
                below=[self.cores[core] for core in part],
            )
            for part in parts
        ]
        self._domain_of = {
            core: domain for part, domain in zip(parts, self.domains, strict=True) for core in part
        }
        self._domain_of[ANY_CORE] = self.domains[0]

    @property
    def finished(self) -> int:
        """Jobs of tasks, hogs not counted, that ran to their end."""
        in_groups = sum(core.finished for core in self.cores.values())
        return in_groups + sum(domain.finished for domain in self.domains)

    @property
    def misses(self) -> list[tuple[int, str, str]]:
        """(core, server, task) of every missed deadline."""
        found = [(n, m.server, m.task) for n, core in self.cores.items() for m in core.misses]
        return found + [
            (ANY_CORE, m.server, m.task) for domain in self.domains for m in domain.misses
        ]

    def exceeding(self, bounds: Mapping[tuple[str, str], int]) -> list[tuple[str, str]]:
        """Tasks of servers present, rogues left out, that took longer than these bounds.

        By names of server and task, in microseconds.
        """
        return [
            (name, task.name)
            for core in self.cores.values()
            for name, server in core.servers.items()
            for task in _judged_tasks(server)
            if server.judged and core.longest.get((name, task.name), 0) > bounds[name, task.name]
        ]

    def follow(self, node: CpuNode) -> None:
        """Apply the reservations of the node: some go, some grow, then some arrive.

        All bands move at one instant, which keeps their order. Servers grow from the lowest band
        upwards, each when all jobs of before are due.
        """
        held = {name_of(r): r for r in node.reservations}
        self._drop(held)
        self.contained = contained(node)
        self._calm_down()
        patience = self._patience()
        self._grow(node, patience)
        start = max(self._now + patience, self._quiet_until)
        present = {name for core in self.cores.values() for name in core.servers}
        present |= {name for domain in self.domains for name in domain.threads}
        for name in [name for name in held if name not in present]:
            reservation = held[name]
            if reservation.mechanism is Mechanism.DEADLINE:
                self._domain_of[reservation.core].add(self._thread(reservation, start))
            else:
                core = self.cores[reservation.core]
                core.add(self._arriving(reservation, self._now, start))

    def _calm_down(self) -> None:
        """Contracts are kept from the instant on from which bounds depend on them."""
        for core in self.cores.values():
            for name, server in core.servers.items():
                if server.judged and name in self.contained:
                    server.tasks = _judged_tasks(server)

    def _drop(self, held: Mapping[str, Reservation]) -> None:
        """Take away what is gone, and move the bands of what stays."""
        for domain in self.domains:
            for name in [name for name in domain.threads if name not in held]:
                self._quiet_until = max(self._quiet_until, domain.threads[name].next_period)
                domain.remove(name)
        for core in self.cores.values():
            for name in [name for name in core.servers if name not in held]:
                core.remove(name)
            for name, server in core.servers.items():
                _move_band(server, held[name], self._broken_ties(held[name]))

    def _grow(self, node: CpuNode, patience: int) -> None:
        for number, core in self.cores.items():
            bands = {name_of(r): r for r in node.on_core(number)}
            for name in reversed([name for name in bands if name in core.servers]):
                budget, _ = quantize_server(bands[name].server)
                if budget != core.servers[name].budget:
                    core.grow(name, budget)
                    self._run_to(self._now + patience)

    def run(self, duration: int) -> None:
        """Let time pass on every core."""
        self._run_to(self._now + duration)

    def finish(self) -> None:
        """Judge what is still unfinished."""
        for domain in self.domains:
            domain.finish()

    def _run_to(self, instant: int) -> None:
        self._now = instant
        for domain in self.domains:
            domain.run(instant)

    def _patience(self) -> int:
        if not self._patient:
            return 0
        served = [
            server.period + task.deadline
            for core in self.cores.values()
            for server in core.servers.values()
            for task in _judged_tasks(server)
        ]
        return max([*served, *(t.deadline for t in self._judged_threads())], default=0)

    def _judged_threads(self) -> Iterator[SimThread]:
        for domain in self.domains:
            yield from (thread for thread in domain.threads.values() if thread.judged)

    def _thread(self, reservation: Reservation, start: int) -> SimThread:
        chance = self._chance
        rogue = self._rogues.setdefault(reservation.pod_uid, chance.random() < 0.4)
        budget, period = quantize_server(reservation.server)
        (task,) = reservation.tasks
        deadline = quantize_task(task)[2]
        wcet, interval = budget - 1, period
        gaps: tuple[int, ...] = (0,)
        if rogue:
            wcet, interval, gaps = self._rogue_jobs(budget, period)
        elif chance.random() < 0.3:
            gaps = _gaps(chance, interval)
        job = SimTask(
            name=task.name,
            wcet=wcet,
            period=interval,
            deadline=NEVER_DUE if rogue else deadline,
            priority=0,
            release=start + chance.choice((0, chance.randrange(period))),
            gaps=gaps,
        )
        return SimThread(
            name=name_of(reservation),
            budget=budget,
            deadline=deadline,
            period=period,
            task=job,
            judged=not rogue,
        )

    def _rogue_jobs(self, budget: int, period: int) -> tuple[int, int, tuple[int, ...]]:
        """Never ending; or just more than allowed; or a part, as soon as more may be had."""
        chance = self._chance
        part = 1 + chance.randrange(budget)
        return chance.choice(
            (
                (ENDLESS, ENDLESS, (0,)),
                (budget + 1 + self._tick, 2 * period, _gaps(chance, period)),
                (part, -(-part * period // budget) + 1, (0, *_gaps(chance, period // 4 + 1))),
            )
        )

    def _arriving(self, reservation: Reservation, now: int, start: int) -> SimServer:
        chance = self._chance
        budget, period = quantize_server(reservation.server)
        refill = now + 1 + chance.randrange(period)
        exhausted = refill + -(-max(0, start - refill) // period) * period + budget
        tasks = []
        for task, priority in zip(reservation.tasks, self._broken_ties(reservation), strict=True):
            wcet, interval, deadline = quantize_task(task)
            across = exhausted - budget + period - chance.randrange(wcet + self._tick)
            release = chance.choice(
                (
                    start + chance.randrange(interval),
                    across if name_of(reservation) in self.contained else exhausted,
                    exhausted + chance.randrange(10),
                )
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
        if not rogue and name_of(reservation) in self.contained:
            hog = None
        return SimServer(
            name=name_of(reservation),
            budget=budget,
            period=period,
            next_replenishment=refill,
            tasks=[*tasks, hog] if hog else tasks,
            judged=not rogue,
        )

    def _broken_ties(self, reservation: Reservation) -> list[float]:
        """Priorities in the order of the levels, equals told apart by chance or not at all."""
        wide = self._ties
        return [level + self._chance.uniform(-wide, wide) for level in reservation.priorities]

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


def _judged_tasks(server: SimServer) -> list[SimTask]:
    return [task for task in server.tasks if task.deadline != NEVER_DUE]


def _move_band(server: SimServer, reservation: Reservation, priorities: Sequence[float]) -> None:
    tasks = _judged_tasks(server)
    rogue = any(task.priority > max(t.priority for t in tasks) for task in server.tasks)
    for task, priority in zip(tasks, priorities, strict=True):
        task.priority = priority
    for task in server.tasks:
        if task.deadline == NEVER_DUE:
            task.priority = (
                max(reservation.priorities) + 0.5 if rogue else min(reservation.priorities) - 0.5
            )


def _gaps(chance: Random, period: int) -> tuple[int, ...]:
    return tuple(chance.choice((0, chance.randrange(period))) for _ in range(3))
