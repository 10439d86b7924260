"""Runs plans of cores in exact simulation and says what was seen, against what was promised."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from k40s.simulation.core import CoreSimulation
from k40s.simulation.edf import DeadlineSimulation
from k40s.simulation.parts import ENDLESS, Miss
from k40s.units import Nanoseconds, format_duration
from workbench.lanes import Lane, lane_of_core, lane_of_threads
from workbench.scenario import CorePlan, DomainPlan, Subject, UnsuitableScenarioError
from workbench.trace import Trace

MAX_EVENTS = 3_000_000
"""Most events that a run is expected to have: some tens of seconds."""
_CHUNKS = 50

Progress = Callable[[int, int], None]
"""Is told how much is done, and of how much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of one task: jobs done, deadlines missed, the longest response (None: no job).

    ``within`` tells whether its bound held; it has to, where it has one.
    """

    subject: Subject
    jobs: int
    misses: int
    longest: Nanoseconds | None

    @property
    def within(self) -> bool:
        """Whether no response was longer than its bound."""
        bound = self.subject.bound
        return bound is None or self.longest is None or self.longest <= bound


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationReport:
    """``seen`` has every task; ``lanes`` are what a chart shows, from the top."""

    duration: Nanoseconds
    lanes: tuple[Lane, ...]
    seen: tuple[Seen, ...]

    @property
    def held(self) -> bool:
        """Whether every judged deadline was met."""
        return not any(seen.misses for seen in self.seen)

    @property
    def bounded(self) -> bool:
        """Whether no judged response was longer than its bound."""
        return all(seen.within for seen in self.seen if seen.subject.judged)


def simulate(
    plans: Sequence[DomainPlan], duration: Nanoseconds, *, seed: int, progress: Progress
) -> SimulationReport:
    """Run every plan for as long. Raises ``UnsuitableScenarioError`` where that has no end."""
    expected = sum(_events(plan, duration // plan.unit) for plan in plans)
    if expected > MAX_EVENTS:
        raise UnsuitableScenarioError(
            f"{format_duration(duration)} would take about {expected:,} events, and at most "
            f"{MAX_EVENTS:,} are simulated: make it shorter"
        )
    lanes: list[Lane] = []
    seen: list[Seen] = []
    for index, plan in enumerate(plans):
        domain = _Domain(plan, seed)
        end = duration // plan.unit
        for chunk in range(1, _CHUNKS + 1):
            domain.run(end * chunk // _CHUNKS)
            progress(index * _CHUNKS + chunk, len(plans) * _CHUNKS)
        domain.finish()
        lanes += domain.lanes()
        seen += domain.seen()
    return SimulationReport(duration=duration, lanes=tuple(lanes), seen=tuple(seen))


class _Domain:
    """The simulation of one plan."""

    def __init__(self, plan: DomainPlan, seed: int) -> None:
        self._plan = plan
        self._traces = [Trace() for _ in plan.cores]
        self._cores = [
            CoreSimulation(
                tick=core.tick, tick_phase=_phase(seed, number, core.tick), recorder=trace
            )
            for number, (core, trace) in enumerate(zip(plan.cores, self._traces, strict=True))
        ]
        for core, simulated in zip(plan.cores, self._cores, strict=True):
            for server in core.servers:
                simulated.add(server)
        self._above: DeadlineSimulation | None = None
        if plan.threads:
            phases = [_phase(seed, n, plan.thread_tick) for n in range(len(plan.cores))]
            self._above = DeadlineSimulation(
                tick=plan.thread_tick, tick_phases=phases, below=self._cores
            )
            for thread in plan.threads:
                self._above.add(thread)

    def run(self, until: int) -> None:
        """Advance to an instant."""
        for simulated in [self._above] if self._above else self._cores:
            simulated.run(until)

    def finish(self) -> None:
        """Judge what is overdue at the end."""
        for simulated in [self._above] if self._above else self._cores:
            simulated.finish()

    def lanes(self) -> list[Lane]:
        """What a chart shows of it: threads above, then the cores that hold servers."""
        found = []
        if self._above is not None:
            found.append(lane_of_threads(self._plan, self._above))
        for core, simulated, trace in zip(self._plan.cores, self._cores, self._traces, strict=True):
            if core.servers:
                found.append(lane_of_core(core, trace, simulated.misses))
        return found

    def seen(self) -> list[Seen]:
        """What was seen of every task."""
        found = []
        if self._above is not None:
            pairs = zip(self._plan.threads, self._plan.subjects, strict=True)
            for thread, subject in pairs:
                longest = self._above.longest.get(thread.name)
                ran = sum(b - a for name, a, b in self._above.consumed if name == thread.name)
                misses = sum(miss.server == thread.name for miss in self._above.misses)
                found.append(self._told(subject, ran // thread.task.wcet, misses, longest))
        for core, simulated, trace in zip(self._plan.cores, self._cores, self._traces, strict=True):
            found += [self._of(core, simulated, trace, subject) for subject in core.subjects]
        return found

    def _of(
        self, core: CorePlan, simulated: CoreSimulation, trace: Trace, subject: Subject
    ) -> Seen:
        del core
        key = (subject.server, subject.task)
        misses = _count(simulated.misses, key)
        return self._told(subject, trace.jobs.get(key, 0), misses, simulated.longest.get(key))

    def _told(self, subject: Subject, jobs: int, misses: int, longest: int | None) -> Seen:
        return Seen(
            subject=subject,
            jobs=jobs,
            misses=misses,
            longest=None if longest is None else Nanoseconds(longest * self._plan.unit),
        )


def _count(misses: Sequence[Miss], key: tuple[str, str]) -> int:
    return sum((miss.server, miss.task) == key for miss in misses)


def _phase(seed: int, core: int, tick: int) -> int:
    """The phase of a core's ticks: arbitrary, but the same at each run."""
    return (seed * 7_919 + core * 1_009) % max(1, tick)


def _events(plan: DomainPlan, end: int) -> int:
    """About how many events a plan will have; every job is pre-empted a few times."""
    tasks = [thread.task for thread in plan.threads]
    events = end // plan.thread_tick if plan.threads and plan.thread_tick else 0
    for core in plan.cores:
        events += end // core.tick if core.tick else 0
        for server in core.servers:
            events += 3 * end // server.period
            tasks += server.tasks
    return events + sum(3 * end // task.period for task in tasks if task.period < ENDLESS)
