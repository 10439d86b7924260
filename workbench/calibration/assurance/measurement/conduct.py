"""Conducts an experiment: begins or continues it in a directory, phase by phase."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from k40s.units import NS_PER_S
from workbench.calibration import machine
from workbench.calibration.assurance.measurement.phase_run import Bench, run_phase
from workbench.calibration.assurance.measurement.preflight import (
    calibrate_loop,
    find_programs,
    probe_policies,
)
from workbench.calibration.assurance.measurement.processes import Caretaker
from workbench.calibration.assurance.measurement.task_groups import find_hierarchy, find_own_group
from workbench.calibration.assurance.plan import store
from workbench.calibration.assurance.plan.errors import CalibrationError, StoppedError
from workbench.calibration.assurance.plan.experiment import SAMPLING, Experiment
from workbench.calibration.assurance.plan.experiment_text import Setting
from workbench.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """Where an experiment is kept, and how the user is told of it.

    ``say`` gets lines for the user; ``stop`` ends the experiment at the next sample.
    """

    directory: Path
    stop: threading.Event
    say: Callable[[str], None]
    progress: Progress
    cgroups: Path = Path("/sys/fs/cgroup")
    own_groups: Path = Path("/proc/self/cgroup")


def conduct(experiment: Experiment, to: Conduct, *, loop: int | None) -> Setting:
    """Run all phases that are not recorded yet.

    ``loop`` is rt-app's calibration if it is known. Raises ``CalibrationError``, ``StoppedError``,
    ``InvalidInputError``, ``OSError``; recorded phases are kept in any case.
    """
    kernel = os.uname().release
    found = store.find_setting(to.directory)
    if found is not None:
        store.check_same(found, experiment, kernel=kernel, directory=to.directory)
    rt_app, stress_ng = find_programs()
    to.directory.mkdir(parents=True, exist_ok=True)
    hierarchy = find_hierarchy(to.cgroups)
    own = to.own_groups.read_text(encoding="utf-8")
    above = find_own_group(to.cgroups, own=own)
    name = f"k40s-calibrate-{os.getpid()}"
    group = None if hierarchy is None else hierarchy / name
    pressure_group = None if above is None else above / name
    scratch = to.directory.resolve() / "scratch"
    groups = [path for path in (group, pressure_group) if path is not None]
    caretaker = Caretaker(groups=groups, directory=scratch)
    try:
        if found is None:
            if loop is None:
                to.say("calibrating rt-app's busy loop, for up to two minutes")
                loop = calibrate_loop(rt_app, core=experiment.core, stop=to.stop)
            found = Setting(experiment=experiment, kernel=kernel, machine=_machine(), loop=loop)
        bench = Bench(
            experiment=experiment,
            loop=found.loop,
            rt_app=rt_app,
            stress_ng=stress_ng,
            scratch=scratch,
            hierarchy=hierarchy,
            group=group,
            pressure_group=pressure_group,
            stop=to.stop,
        )
        bench = _probed(bench, to)
        store.begin(to.directory, found)
        _run_phases(bench, to)
    finally:
        caretaker.close()
    return found


def _probed(bench: Bench, to: Conduct) -> Bench:
    """The bench with which all policies work: without the group that tells pressure, if need be."""
    try:
        probe_policies(bench)
    except CalibrationError as error:
        if bench.pressure_group is None:
            raise
        plain = replace(bench, pressure_group=None)
        probe_policies(plain)
        to.say(f"the task's pressure is not recorded: {error}")
        return plain
    return bench


def _run_phases(bench: Bench, to: Conduct) -> None:
    experiment = bench.experiment
    done = {phase.name for phase in store.finished(to.directory, experiment)}
    samples = (experiment.cooldown + experiment.stress_time) * NS_PER_S // SAMPLING
    total, passed = experiment.count * samples, len(done) * samples
    minutes = -(-(total - passed) * SAMPLING // (60 * NS_PER_S))
    to.say(f"{len(done)} of {experiment.count} phases are recorded; about {minutes} min to go")

    def tick() -> None:
        nonlocal passed
        passed += 1
        to.progress(min(passed, total), total)

    for phase in experiment.phases():
        if phase.name not in done:
            draft = store.fresh_unfinished(to.directory)
            try:
                recording = run_phase(bench, phase, directory=draft, each_sample=tick)
            except StoppedError:
                store.discard_unfinished(to.directory)
                raise
            store.keep(to.directory, recording)


def _machine() -> str:
    identity = machine.read_identity(Path("/"))
    kind = "virtual machine" if identity.virtual else "machine"
    return f"{kind} of {os.cpu_count()} CPUs, {identity.model or identity.microarchitecture}"
