"""A tiny experiment with the real rt-app and stress-ng: stopped, killed, resumed, and no traces."""

import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from k40s.assurance.metrics import Metric
from k40s.units import NS_PER_MS
from tests.kernel.conftest import CORE, CPU, eventually
from workbench.calibration.assurance.measurement.task_groups import find_own_group
from workbench.calibration.assurance.plan import store
from workbench.calibration.assurance.plan.experiment import Policy

pytestmark = [
    pytest.mark.skipif(
        shutil.which("rt-app") is None or shutil.which("stress-ng") is None,
        reason="needs rt-app and stress-ng",
    ),
    pytest.mark.timeout(1200),
]
OWN = find_own_group(Path("/sys/fs/cgroup"), own=Path("/proc/self/cgroup").read_text())
"""The group of cgroup v2 below which the task has one of its own."""
_OPTIONS = (
    *("--cpus", str(CORE), "--stress", "cpu+hdd", "--stressors", "2", "--repetitions", "1"),
    *("--cooldown", "3", "--stress-time", "3", "--ns-per-loop", "21"),
)


class Experiment:
    """``k40s calibrate assurance`` in a directory; all its processes bear a mark."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._mark = f"K40S_TEST_MARK={uuid.uuid4()}"

    def start(self, *options: str) -> subprocess.Popen[str]:
        name, _, value = self._mark.partition("=")
        return subprocess.Popen(
            [
                *(sys.executable, "-c", "from cli.main import main; main()"),
                *("calibrate", "assurance", "--out", str(self.directory), *options),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path.cwd()), name: value},
        )

    def phases(self) -> dict[str, int]:
        """The recorded phases, and when each was written."""
        paths = (self.directory / "phases").glob("*")
        return {path.name: path.stat().st_mtime_ns for path in paths}

    def is_stressing(self) -> bool:
        """Whether the stress of the phase in which it is interrupted has begun."""
        group = any(CPU.glob("k40s-calibrate-*"))
        return group and (self.directory / "unfinished" / "stress-ng.txt").exists()

    def processes(self) -> list[int]:
        """Processes of ours that live."""
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                marked = self._mark.encode() in path.read_bytes()
            except OSError:
                continue
            if marked:
                found.append(int(path.parent.name))
        return found

    def is_gone(self) -> bool:
        """Whether nothing of it is left but its recordings."""
        groups = (CPU, OWN or CPU)
        left = (self.directory / "scratch").exists() or any(
            path for group in groups for path in group.glob("k40s-calibrate-*")
        )
        return not left and not self.processes()


@pytest.fixture
def experiment(tmp_path: Path, undo: ExitStack) -> Experiment:
    made = Experiment(tmp_path / "out")

    def end() -> None:
        for pid in made.processes():
            os.kill(pid, signal.SIGKILL)

    undo.callback(end)
    return made


def interrupt(experiment: Experiment, number: signal.Signals, *options: str) -> tuple[int, str]:
    """Start it, and signal it under stress in an rt-cgroup; its status and what it said."""
    shutil.rmtree(experiment.directory / "unfinished", ignore_errors=True)
    running = experiment.start(*options)
    eventually(lambda: experiment.is_stressing() or running.poll() is not None, seconds=300)
    assert running.poll() is None, running.communicate()[0]
    running.send_signal(number)
    said, _ = running.communicate(timeout=300)
    return running.returncode, said


def test_an_experiment_is_stopped_killed_and_resumed_and_the_machine_is_as_before(
    experiment: Experiment,
) -> None:
    before = {path.name for path in CPU.iterdir()}, os.sched_getaffinity(0)

    status, said = interrupt(experiment, signal.SIGINT, *_OPTIONS)
    recorded = experiment.phases()
    assert (status, experiment.is_gone()) == (130, True), said
    assert f"--out {experiment.directory} continues" in said
    assert recorded.keys() == {"other-2-1-cpu+hdd", "fifo-2-1-cpu+hdd"}

    assert interrupt(experiment, signal.SIGKILL)[0] == -signal.SIGKILL
    eventually(experiment.is_gone, seconds=180)
    assert experiment.phases() == recorded

    last = experiment.start()
    said, _ = last.communicate(timeout=400)
    assert (last.returncode, experiment.is_gone()) == (0, True), said
    assert ({path.name for path in CPU.iterdir()}, os.sched_getaffinity(0)) == before
    assert experiment.phases().items() >= recorded.items()
    check_recordings(experiment.directory)
    assert "fifo       2 x cpu+hdd" in said


def check_recordings(directory: Path) -> None:
    """Each policy's phase has jobs and samples, and its run queue grew under stress."""
    setting = store.require_setting(directory)
    phases = store.finished(directory, setting.experiment)
    assert [phase.policy for phase in phases] == [*Policy]
    for phase in phases:
        found = store.load(directory, phase)
        samples = found.samples
        assert len(samples.times) > 20  # of 60, where the machine never stands still
        assert np.all(np.diff(samples.times) > 0)
        queue = samples.metrics[Metric.RUN_QUEUE]
        stressed = samples.times > found.stressed
        assert np.nanmedian(queue[stressed]) > np.nanmedian(queue[~stressed])
        assert found.watched is not None
        assert len(found.watched.times) > 3  # of 11
        assert np.diff(found.watched.times).min() > 400 * NS_PER_MS
        assert found.watched.metrics.keys() == samples.metrics.keys()
        assert samples.waited is None
        if OWN is not None and phase.policy.real_time:
            assert found.watched.waited is not None
            assert np.all(np.diff(found.watched.waited) > 0), "the task waits at each activation"
        jobs = found.jobs
        quiet = np.median(jobs.latency[jobs.at < found.stressed])
        assert quiet > 1
        if phase.policy.real_time:  # others may wait for whatever else runs
            assert len(jobs.at) > 200  # of 600
            assert np.median(jobs.slack) > 1000
            assert quiet < 5000
    assert json.loads((directory / "experiment.json").read_text())["ns_per_loop"] == 21


def test_a_policy_that_the_kernel_refuses_is_named_before_anything_is_measured(
    experiment: Experiment, undo: ExitStack
) -> None:
    """A DEADLINE thread needs a whole root domain: a process that is pinned cannot give it."""
    allowed = os.sched_getaffinity(0)
    undo.callback(os.sched_setaffinity, 0, allowed)
    os.sched_setaffinity(0, {CORE})

    running = experiment.start(*_OPTIONS, "--policy", "deadline")
    said, _ = running.communicate(timeout=300)

    assert running.returncode == 2
    assert "error: policy deadline does not work here (sched_setattr: Operation" in said
    assert experiment.phases() == {}
    assert experiment.is_gone()
