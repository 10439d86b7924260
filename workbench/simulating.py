"""Runs plans of cores in exact simulation and says what was seen, against what was promised."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from k40s.simulation.core import CoreSimulation
from k40s.simulation.parts import ENDLESS
from k40s.units import Nanoseconds, format_duration
from workbench.scenario import CorePlan, Subject, UnsuitableScenarioError
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
    core: int
    jobs: int
    misses: int
    longest: Nanoseconds | None

    @property
    def within(self) -> bool:
        """Whether no response was longer than its bound."""
        bound = self.subject.bound
        return bound is None or self.longest is None or self.longest <= bound


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreRun:
    """One core after its run. ``missed`` are the releases of late jobs, as (server, task, at)."""

    plan: CorePlan
    trace: Trace
    missed: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationReport:
    """``seen`` has every task of every core."""

    duration: Nanoseconds
    runs: tuple[CoreRun, ...]
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
    plans: Sequence[CorePlan], duration: Nanoseconds, *, seed: int, progress: Progress
) -> SimulationReport:
    """Run every plan for as long. Raises ``UnsuitableScenarioError`` where that has no end."""
    expected = sum(_events(plan, duration) for plan in plans)
    if expected > MAX_EVENTS:
        raise UnsuitableScenarioError(
            f"{format_duration(duration)} would take about {expected:,} events, and at most "
            f"{MAX_EVENTS:,} are simulated: make it shorter"
        )
    runs: list[CoreRun] = []
    seen: list[Seen] = []
    for index, plan in enumerate(plans):
        trace = Trace()
        core = CoreSimulation(
            tick=plan.tick,
            tick_phase=seed * 7_919 % max(1, plan.tick),
            recorder=trace,
        )
        for server in plan.servers:
            core.add(server)
        end = duration // plan.unit
        for chunk in range(1, _CHUNKS + 1):
            core.run(end * chunk // _CHUNKS)
            progress(index * _CHUNKS + chunk, len(plans) * _CHUNKS)
        core.finish()
        runs.append(_run(plan, core, trace))
        seen += [_seen(plan, core, trace, subject) for subject in plan.subjects]
    return SimulationReport(duration=duration, runs=tuple(runs), seen=tuple(seen))


def _events(plan: CorePlan, duration: Nanoseconds) -> int:
    """About how many events a core will have; every job is pre-empted a few times."""
    end = duration // plan.unit
    events = end // plan.tick if plan.tick else 0
    for server in plan.servers:
        events += 3 * end // server.period
        events += sum(3 * end // task.period for task in server.tasks if task.period < ENDLESS)
    return events


def _run(plan: CorePlan, core: CoreSimulation, trace: Trace) -> CoreRun:
    missed = tuple((miss.server, miss.task, miss.release) for miss in core.misses)
    return CoreRun(plan=plan, trace=trace, missed=missed)


def _seen(plan: CorePlan, core: CoreSimulation, trace: Trace, subject: Subject) -> Seen:
    key = (subject.server, subject.task)
    longest = core.longest.get(key)
    return Seen(
        subject=subject,
        core=plan.core,
        jobs=trace.jobs.get(key, 0),
        misses=sum((miss.server, miss.task) == key for miss in core.misses),
        longest=None if longest is None else Nanoseconds(longest * plan.unit),
    )
