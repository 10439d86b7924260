"""The task's cgroups for one phase.

One has a real-time budget (cgroup v1, CONFIG_RT_GROUP_SCHED), one tells how long the task waits
for a CPU (cgroup v2, beside v1 or alone).
"""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from daemons.malacoda.sampling.pod_cgroups import find_hierarchies
from daemons.malacoda.sampling.proc_text import parse_pressure
from k40s.units import NS_PER_US
from workbench.calibration.assurance.plan.errors import CalibrationError
from workbench.calibration.assurance.plan.experiment import PERIOD
from workbench.calibration.assurance.plan.rt_app import BUDGET

_HIERARCHIES = ("cpu", "cpu,cpuacct", "cpuacct,cpu")
_PRESSURE = "cpu.pressure"
_OWN = re.compile(r"^0::(/.*)$", re.MULTILINE)
"""The path of a process's group of v2 in /proc/PID/cgroup."""
_POLL = 0.1
_PAUSE = threading.Event()
_PATIENCE = 5.0
"""Seconds: the budget of a removed group counts for up to 1.8 s more."""


def find_hierarchy(cgroups: Path) -> Path | None:
    """The v1 cpu hierarchy with real-time budgets; None where there is none."""
    for name in _HIERARCHIES:
        if (cgroups / name / "cpu.rt_runtime_us").exists():
            return cgroups / name
    return None


def find_own_group(cgroups: Path, *, own: str) -> Path | None:
    """This process's group of v2, beside v1 or alone; None where it tells no pressure.

    ``own`` is the content of /proc/self/cgroup. A group below it has the same CPUs and, without
    controllers of its own, shares them in the same way.
    """
    trees, path = find_hierarchies(cgroups), _OWN.search(own)
    if trees is None or trees.pressure is None or path is None:
        return None
    group = trees.pressure / path[1].lstrip("/")
    return None if read_waited(group) is None else group


def read_waited(group: Path) -> float | None:
    """Microseconds for which a task of the group has waited; None where it cannot be read."""
    try:
        return float(parse_pressure((group / _PRESSURE).read_bytes()))
    except (OSError, ValueError):
        return None


@contextmanager
def task_group(path: Path, *, what: str = "no group for the task") -> Iterator[Path]:
    """A group, removed behind. Raises ``CalibrationError``, which begins with ``what``."""
    try:
        path.mkdir()
    except OSError as error:
        raise CalibrationError(f"{what}: {path}: {error.strerror}") from error
    try:
        yield path
    finally:
        _remove(path)


@contextmanager
def real_time_group(path: Path) -> Iterator[Path]:
    """A group with a budget of 5 ms in 10 ms, removed behind. Raises ``CalibrationError``."""
    with task_group(path, what="rt-cgroup"):
        _give_budget(path)
        yield path


def _give_budget(path: Path) -> None:
    figures = (("cpu.rt_period_us", PERIOD), ("cpu.rt_runtime_us", BUDGET))
    end = time.monotonic() + _PATIENCE
    for name, value in figures:
        while (error := _write(path / name, str(value // NS_PER_US))) is not None:
            if time.monotonic() > end:
                raise CalibrationError(
                    f"rt-cgroup: the kernel refuses a budget of 5 ms in 10 ms ({error.strerror}): "
                    "other groups hold the node's real-time bandwidth"
                )
            _PAUSE.wait(_POLL)


def _write(path: Path, text: str) -> OSError | None:
    try:
        path.write_text(text, encoding="ascii")
    except OSError as error:
        return error
    return None


def _remove(path: Path) -> None:
    """Remove the group; its last thread leaves it a moment after its end."""
    end = time.monotonic() + _PATIENCE
    while path.exists() and time.monotonic() < end:
        with suppress(OSError):
            path.rmdir()
            return
        _PAUSE.wait(_POLL)
    if path.exists():
        raise CalibrationError(f"{path} is still in use and was not removed")
