"""rt-app's configuration and log: text only.

Traps of rt-app 1.0, all seen on a real kernel:

- ``"log_size": "auto"`` writes logs with a heading alone: the size is fixed here.
- The calibration of the busy loop, where it is left to rt-app, is wrong on a busy machine: the
  figure is measured once and fixed.
- A row's ``wu_lat`` is the latency of the activation at the row's **end**, and reads 0 while the
  task is overrunning; then the row's negative slack says how late that activation is.
- The line that was being written when rt-app was killed is cut off.
"""

import json
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from k40s.units import NS_PER_US, Nanoseconds
from workbench.calibration.assurance.plan.experiment import PERIOD, RUNTIME, Policy

Array = npt.NDArray[np.float64]

PRIORITY = 98
BUDGET = Nanoseconds(5_000_000)
"""Budget of each period under rt-cgroup and DEADLINE: a job of "1.9 ms" takes up to 3.9 ms on a
shared virtual CPU, and a tighter budget would measure throttling."""
_THREAD = "task"
_COLUMNS = 11
_END, _SLACK, _LATENCY = 5, 7, 10
_LINES_PER_MIB = 5000
"""Fewer than fit: a line's record takes some 100 bytes."""
_WHOLE = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_CALIBRATED = re.compile(r"pLoad = ([0-9]{1,6})ns")


class RtAppError(ValueError):
    """A log of rt-app cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Jobs:
    """The task's activations in order of time: ``at`` in ns (monotonic), the rest in µs.

    ``latency`` is the delay of an activation after its arrival. ``slack`` is what the job before
    had left until its deadline; negative where it was missed.
    """

    at: Array
    latency: Array
    slack: Array


def log_name(basename: str) -> str:
    """The file in the log directory that rt-app writes."""
    return f"{basename}-{_THREAD}-0.log"


def configuration(
    policy: Policy,
    *,
    core: int,
    seconds: int,
    nanoseconds_per_loop: int | None,
    logs: str,
    basename: str,
) -> str:
    """JSON for rt-app. Without ``nanoseconds_per_loop`` it calibrates itself on the core.

    A DEADLINE thread may not be pinned (EPERM), so it gets no CPU.
    """
    thread: dict[str, object] = {
        "policy": "SCHED_DEADLINE" if policy is Policy.DEADLINE else "SCHED_FIFO",
        "loop": -1,
        "run": RUNTIME // NS_PER_US,
        "timer": {"ref": "unique", "period": PERIOD // NS_PER_US, "mode": "absolute"},
    }
    if policy is Policy.DEADLINE:
        thread |= {
            "dl-runtime": BUDGET // NS_PER_US,
            "dl-period": PERIOD // NS_PER_US,
            "dl-deadline": PERIOD // NS_PER_US,
        }
    elif policy is Policy.OTHER:
        thread |= {"policy": "SCHED_OTHER", "cpus": [core]}
    else:
        thread |= {"priority": PRIORITY, "cpus": [core]}
    loop = f"CPU{core}" if nanoseconds_per_loop is None else nanoseconds_per_loop
    shared = {
        "duration": seconds,
        "calibration": loop,
        "default_policy": "SCHED_OTHER",
        "pi_enabled": False,
        "lock_pages": True,
        "logdir": logs,
        "log_basename": basename,
        "gnuplot": False,
        "log_size": 4 + seconds * 100 // _LINES_PER_MIB,
    }
    return json.dumps({"tasks": {_THREAD: thread}, "global": shared})


def parse_calibration(output: str) -> int:
    """Nanoseconds of one round of rt-app's busy loop. Raises ``RtAppError``."""
    found = _CALIBRATED.search(output)
    if found is None or int(found[1]) == 0:
        raise RtAppError('rt-app did not say "pLoad = …ns"')
    return int(found[1])


def parse_log(text: str) -> Jobs:
    """Read a log. Raises ``RtAppError`` for one without jobs, or with a broken line inside.

    Only the last line may be cut off.
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    rows = [_read_row(line) for line in lines]
    if rows and not text.endswith("\n"):
        rows.pop()  # its last figure may lack digits
    if rows and rows[-1] is None:
        rows.pop()
    if None in rows:
        number = rows.index(None)
        raise RtAppError(f"row {number + 1} of the log reads {lines[number][:80]!r}")
    if not rows:
        raise RtAppError("the log has no jobs (rt-app was killed, or never allowed to run)")
    end, slack, latency = np.asarray(rows, dtype=np.float64).T
    return Jobs(at=end * NS_PER_US, latency=np.maximum(latency, -slack), slack=slack)


def _read_row(line: str) -> tuple[float, float, float] | None:
    """End, slack and latency in µs; None for a line that is broken."""
    words = line.split()
    if len(words) != _COLUMNS or not all(map(_WHOLE.fullmatch, words)):
        return None
    return float(words[_END]), float(words[_SLACK]), float(words[_LATENCY])
