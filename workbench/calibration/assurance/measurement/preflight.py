"""What the experiment needs is checked before it begins: root, programs, policies."""

import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path

from workbench.calibration.assurance.measurement.phase_run import Bench, running_task
from workbench.calibration.assurance.measurement.processes import Program
from workbench.calibration.assurance.plan import rt_app
from workbench.calibration.assurance.plan.errors import CalibrationError
from workbench.calibration.assurance.plan.experiment import Policy

_CALIBRATION = 120.0
"""Seconds that rt-app may take to calibrate its busy loop (some 30 on a busy machine)."""
_PROBE = 20.0
_PACKAGES = {"rt-app": "rt-app", "stress-ng": "stress-ng"}


def find_programs() -> tuple[str, str]:
    """The paths of rt-app and stress-ng. Raises ``CalibrationError`` also without root."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise CalibrationError(
            "the experiment needs Linux and root: real-time policies and cgroups"
        )
    found = {name: shutil.which(name) for name in _PACKAGES}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        packages = " ".join(_PACKAGES[name] for name in missing)
        raise CalibrationError(f"{' and '.join(missing)} not found: apt-get install {packages}")
    return str(found["rt-app"]), str(found["stress-ng"])


def calibrate_loop(program: str, *, core: int, stop: threading.Event) -> int:
    """Nanoseconds of rt-app's busy loop on the core; measure on a quiet node. ``StoppedError``."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        path = directory / "rt-app.json"
        text = rt_app.configuration(
            Policy.OTHER,
            core=core,
            seconds=1,
            nanoseconds_per_loop=None,
            logs=name,
            basename="rt",
        )
        path.write_text(text, encoding="utf-8")
        running = Program([program, str(path)], output=directory / "rt-app.txt")
        try:
            if running.wait(seconds=_CALIBRATION, stop=stop) != 0:
                raise running.failure()
            return rt_app.parse_calibration(running.output())
        except rt_app.RtAppError as error:
            raise CalibrationError(f"rt-app: {error}") from error
        finally:
            running.end(grace=5.0)


def probe_policies(bench: Bench) -> None:
    """Run the task for a second under each policy. Raises ``CalibrationError`` for one that fails.

    Only a run tells: a policy needs a budget, a root domain, or a kernel option.
    """
    for policy in bench.experiment.policies:
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            with running_task(bench, policy, 1, directory) as task:
                if task.wait(seconds=_PROBE, stop=bench.stop) != 0:
                    said = f"policy {policy} does not work here ({task.last_line()})"
                    raise CalibrationError(f"{said}: {_ADVICE[policy]}")


_ADVICE = {
    Policy.OTHER: "rt-app itself fails",
    Policy.FIFO: "its cgroup needs a real-time budget, and the CPU must be in its cpuset",
    Policy.RT_CGROUP: "it needs cgroup v1 with CONFIG_RT_GROUP_SCHED",
    Policy.DEADLINE: "its CPUs must be a whole root domain with free bandwidth: run k40s "
    "without taskset, or leave the policy out with --policy",
}
