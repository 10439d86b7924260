"""Runs core plans in exact simulation and compares each task's responses with its bound."""

from collections.abc import Sequence
from dataclasses import dataclass

from k40s.simulation.core import CoreSimulation
from k40s.simulation.edf import DeadlineSimulation
from k40s.simulation.parts import ENDLESS, Miss
from k40s.units import Nanoseconds, format_duration
from workbench.progress import Progress
from workbench.simulation.gantt_rows import Panel, panel_of_core, panel_of_threads
from workbench.simulation.scenario import DomainPlan, PlannedTask, UnsuitableScenarioError
from workbench.simulation.trace import Trace

MAX_EVENTS = 3_000_000
"""Most events that a run is expected to have: some tens of seconds."""
_CHUNKS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One task in the simulation: jobs done, deadlines missed, longest response (None: no job)."""

    planned: PlannedTask
    jobs: int
    misses: int
    longest: Nanoseconds | None

    @property
    def within(self) -> bool:
        """Whether no response was longer than its bound."""
        bound = self.planned.bound
        return bound is None or self.longest is None or self.longest <= bound


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationReport:
    """``observations`` has every task; ``panels`` are those of the Gantt chart, from the top."""

    duration: Nanoseconds
    panels: tuple[Panel, ...]
    observations: tuple[Observation, ...]

    @property
    def judged(self) -> bool:
        """Whether any judged task finished a job, or any deadline was missed."""
        return any((seen.jobs and seen.planned.judged) or seen.misses for seen in self.observations)

    @property
    def held(self) -> bool:
        """Whether every judged deadline was met."""
        return not any(seen.misses for seen in self.observations)

    @property
    def bounded(self) -> bool:
        """Whether no judged response was longer than its bound."""
        return all(seen.within for seen in self.observations if seen.planned.judged)


def simulate(
    plans: Sequence[DomainPlan], duration: Nanoseconds, *, seed: int, progress: Progress
) -> SimulationReport:
    """Run every plan for ``duration``. Raises ``UnsuitableScenarioError`` for too many events."""
    expected = sum(_events(plan, duration // plan.unit) for plan in plans)
    if expected > MAX_EVENTS:
        raise UnsuitableScenarioError(
            f"{format_duration(duration)} would take about {expected:,} events, and at most "
            f"{MAX_EVENTS:,} are simulated: make it shorter"
        )
    panels: list[Panel] = []
    observations: list[Observation] = []
    for index, plan in enumerate(plans):
        domain = _Domain(plan, seed)
        end = duration // plan.unit
        for chunk in range(1, _CHUNKS + 1):
            domain.run(end * chunk // _CHUNKS)
            progress(index * _CHUNKS + chunk, len(plans) * _CHUNKS)
        domain.finish()
        panels += domain.panels()
        observations += domain.observations()
    return SimulationReport(
        duration=duration, panels=tuple(panels), observations=tuple(observations)
    )


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
        """Count the jobs that are overdue at the end as misses."""
        for simulated in [self._above] if self._above else self._cores:
            simulated.finish()

    def panels(self) -> list[Panel]:
        """Its panels of the Gantt chart: SCHED_DEADLINE threads, then cores that hold servers."""
        found = []
        if self._above is not None:
            found.append(panel_of_threads(self._plan, self._above))
        for core, simulated, trace in zip(self._plan.cores, self._cores, self._traces, strict=True):
            if core.servers:
                found.append(panel_of_core(core, trace, simulated.misses))
        return found

    def observations(self) -> list[Observation]:
        """The observation of every task."""
        found = []
        if self._above is not None:
            pairs = zip(self._plan.threads, self._plan.planned, strict=True)
            for thread, planned in pairs:
                longest = self._above.longest.get(thread.name)
                ran = sum(b - a for name, a, b in self._above.consumed if name == thread.name)
                misses = sum(miss.server == thread.name for miss in self._above.misses)
                found.append(self._observation(planned, ran // thread.task.wcet, misses, longest))
        for core, simulated, trace in zip(self._plan.cores, self._cores, self._traces, strict=True):
            found += [self._of(simulated, trace, planned) for planned in core.planned]
        return found

    def _of(self, simulated: CoreSimulation, trace: Trace, planned: PlannedTask) -> Observation:
        key = (planned.server, planned.task)
        misses = _count(simulated.misses, key)
        return self._observation(
            planned, trace.jobs.get(key, 0), misses, simulated.longest.get(key)
        )

    def _observation(
        self, planned: PlannedTask, jobs: int, misses: int, longest: int | None
    ) -> Observation:
        return Observation(
            planned=planned,
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
