"""Runs one phase on the kernel: rt-app throughout, samples beside it, stress-ng at its end."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from daemons.malacoda.sampling.sampler import Sampler
from k40s.assurance.counters import Counters
from k40s.assurance.metrics import Metric, metrics_between
from k40s.units import NS_PER_S
from workbench.calibration.assurance.measurement.processes import Program
from workbench.calibration.assurance.measurement.task_groups import (
    read_waited,
    real_time_group,
    task_group,
)
from workbench.calibration.assurance.plan import rt_app, stressors
from workbench.calibration.assurance.plan.errors import CalibrationError, StoppedError
from workbench.calibration.assurance.plan.experiment import (
    SAMPLING,
    WATCHING,
    Experiment,
    Phase,
    Policy,
)
from workbench.calibration.assurance.plan.recording import Recording, Samples
from workbench.calibration.machine import read_steal

_GRACE = 30.0
"""Seconds that stressors have to remove their files and end."""
_AFTER = 2
"""Seconds that the task runs beyond the stress: its log is whole then."""
_LATE = 60.0
"""Seconds that rt-app may need beyond that, to write its log on a busy machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What all phases of an experiment use. ``group`` is where an rt-cgroup may be made.

    ``hierarchy`` is the v1 cpu hierarchy, ``pressure_group`` a group of v2 that may be made for a
    real-time task, whose pressure it tells; None where there is none.
    """

    experiment: Experiment
    loop: int
    rt_app: str
    stress_ng: str
    scratch: Path
    hierarchy: Path | None
    group: Path | None
    pressure_group: Path | None
    stop: threading.Event


@dataclass(slots=True)
class _Series:
    """Samples as they come; times in ns since the phase began. No sooner than ``every`` ns."""

    every: int = 0
    times: list[int] = field(default_factory=list)
    rows: list[dict[Metric, float]] = field(default_factory=list)
    waited: list[float | None] = field(default_factory=list)
    _last: Counters | None = None

    def take(self, counters: Counters, *, begun: int, group: Path | None = None) -> None:
        if self._last is not None:
            if counters.at - self._last.at < self.every:
                return
            self.times.append(counters.at - begun)
            self.rows.append(metrics_between(self._last, counters))
            self.waited.append(None if group is None else read_waited(group))
        self._last = counters

    def finish(self) -> Samples:
        known = any(value is not None for value in self.waited)
        names = sorted({metric for row in self.rows for metric in row})
        return Samples(
            times=np.array(self.times, dtype=np.float64),
            metrics={
                name: np.array([row.get(name, np.nan) for row in self.rows], dtype=np.float64)
                for name in names
            },
            waited=np.array(self.waited, dtype=np.float64) if known else None,
        )


def run_phase(
    bench: Bench, phase: Phase, *, directory: Path, each_sample: Callable[[], None]
) -> Recording:
    """Run it, with rt-app's files in ``directory``.

    Raises ``StoppedError``, ``CalibrationError``; whatever it started is ended then, too.
    """
    plan = bench.experiment
    load = os.getloadavg()[0]
    steal = read_steal(Path("/"))
    with ExitStack() as undo:
        sampler = Sampler(cpus=frozenset(plan.cpus), clock=time.monotonic_ns)
        undo.callback(sampler.close)
        seconds = plan.cooldown + plan.stress_time + _AFTER
        task = undo.enter_context(running_task(bench, phase.policy, seconds, directory))
        begun = time.monotonic_ns()
        clock = _Clock(bench=bench, task=task, sampler=sampler, begun=begun, each=each_sample)
        clock.sample_for(plan.cooldown)
        with _stress(bench, phase, directory) as stress:
            stressed = time.monotonic_ns() - begun
            clock.sample_for(plan.stress_time, beside=stress)
            ended = time.monotonic_ns() - begun
        jobs = _jobs(task, directory, bench.stop)
    after = read_steal(Path("/"))
    return Recording(
        phase=phase,
        stressed=stressed,
        ended=ended,
        steal=(after[0] - steal[0]) / max(1, after[1] - steal[1]),
        load=load,
        samples=clock.samples.finish(),
        jobs=rt_app.Jobs(at=jobs.at - begun, latency=jobs.latency, slack=jobs.slack),
        watched=clock.watched.finish(),
    )


@contextmanager
def running_task(bench: Bench, policy: Policy, seconds: int, directory: Path) -> Iterator[Program]:
    """rt-app under a policy, ended behind; its log comes into ``directory``."""
    with ExitStack() as undo:
        groups: list[Path] = []
        if policy is Policy.RT_CGROUP:
            if bench.group is None:
                raise CalibrationError("rt-cgroup: no cgroup v1 with real-time budgets here")
            groups.append(undo.enter_context(real_time_group(bench.group)))
        elif policy is Policy.FIFO and bench.hierarchy is not None:
            groups.append(bench.hierarchy)  # its root has a budget, the caller's perhaps none
        if bench.pressure_group is not None and policy.real_time:
            groups.append(undo.enter_context(task_group(bench.pressure_group)))
        path = directory / "rt-app.json"
        path.write_text(
            rt_app.configuration(
                policy,
                core=bench.experiment.core,
                seconds=seconds,
                nanoseconds_per_loop=bench.loop,
                logs=str(directory),
                basename="rt",
            ),
            encoding="utf-8",
        )
        program = Program([bench.rt_app, str(path)], output=directory / "rt-app.txt", groups=groups)
        undo.callback(program.end, grace=5.0)
        yield program


@contextmanager
def _stress(bench: Bench, phase: Phase, directory: Path) -> Iterator[Program]:
    bench.scratch.mkdir(exist_ok=True)
    command = stressors.command(
        bench.stress_ng,
        phase.stress,
        phase.stressors,
        seconds=bench.experiment.stress_time + round(_GRACE),
        scratch=bench.scratch,
    )
    program = Program(
        command,
        output=directory / "stress-ng.txt",
        cpus=bench.experiment.cpus,
        on_death=signal.SIGTERM,
    )
    try:
        yield program
    finally:
        program.end(grace=_GRACE)
        shutil.rmtree(bench.scratch, ignore_errors=True)


@dataclass(slots=True, kw_only=True)
class _Clock:
    """Samples at a steady rate while the programs run."""

    bench: Bench
    task: Program
    sampler: Sampler
    begun: int
    each: Callable[[], None]
    samples: _Series = field(default_factory=_Series)
    watched: _Series = field(default_factory=lambda: _Series(every=WATCHING - SAMPLING // 2))

    def sample_for(self, seconds: int, *, beside: Program | None = None) -> None:
        """Sample for so long; each program has to be running all the time."""
        due = time.monotonic_ns()
        end = due + seconds * NS_PER_S
        while (due := due + SAMPLING) <= end:
            if self.bench.stop.wait(max(0, due - time.monotonic_ns()) / NS_PER_S):
                raise StoppedError("stopped")
            for program in filter(None, (self.task, beside)):
                if program.status is not None:
                    raise program.failure()
            self._sample()
            self.each()

    def _sample(self) -> None:
        counters = self.sampler.sample()
        self.samples.take(counters, begun=self.begun)
        self.watched.take(counters, begun=self.begun, group=self.bench.pressure_group)


def _jobs(task: Program, directory: Path, stop: threading.Event) -> rt_app.Jobs:
    """Wait for rt-app's end, and read its log."""
    status = task.wait(seconds=_AFTER + _LATE, stop=stop)
    if status != 0:
        raise task.failure()
    try:
        text = (directory / rt_app.log_name("rt")).read_text(encoding="ascii", errors="replace")
        return rt_app.parse_log(text)
    except (OSError, rt_app.RtAppError) as error:
        raise CalibrationError(f"rt-app's log cannot be used: {error}") from error
