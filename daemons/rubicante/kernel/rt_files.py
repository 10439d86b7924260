"""The real-time budget of one cgroup (v1, cpu controller): read, written, read back.

A period is written only while the budget is 0, so that nothing that runs is stalled by it. Raises
``KernelError`` where the kernel refuses.
"""

import errno
from collections.abc import Callable
from pathlib import Path

from daemons.rubicante.kernel.system import System
from k40s.errors import KernelError

_RUNTIME = "cpu.rt_runtime_us"
_PERIOD = "cpu.rt_period_us"
_RETRY_SECONDS = 0.005


class RtFiles:
    """``wait`` sleeps for some seconds or until the process stops. (Q, P) are microseconds."""

    def __init__(self, *, system: System, wait: Callable[[float], object]) -> None:
        self._system = system
        self._wait = wait

    def read(self, cgroup: Path) -> tuple[int, int] | None:
        """(Q, P) of a cgroup; None when it is gone."""
        try:
            return (
                int(self._system.read(cgroup / _RUNTIME)),
                int(self._system.read(cgroup / _PERIOD)),
            )
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.ENODEV:
                return None
            raise KernelError(f"{cgroup.name}: {error}") from error

    def give(self, cgroup: Path, budget: int, period: int, *, patience: float = 0.0) -> None:
        """Make a cgroup's budget (Q, P); its period must be P where it has a budget.

        EINVAL is tried again for ``patience`` seconds: a group that has just gone still counts.
        """
        waited = 0.0
        while True:
            try:
                return self._give(cgroup, budget, period)
            except OSError as error:
                if error.errno != errno.EINVAL or waited >= patience:
                    raise KernelError(f"budget of {cgroup.name}: {error}") from error
            self._wait(_RETRY_SECONDS)
            waited += _RETRY_SECONDS

    def _give(self, cgroup: Path, budget: int, period: int) -> None:
        has, present = (
            int(self._system.read(cgroup / _RUNTIME)),
            int(self._system.read(cgroup / _PERIOD)),
        )
        if budget and present != period:
            if has:
                raise KernelError(f"{cgroup.name} has a budget in {present}us, not in {period}us")
            self._write(cgroup / _PERIOD, period)
        if has != budget:
            self._write(cgroup / _RUNTIME, budget)

    def _write(self, path: Path, value: int) -> None:
        self._system.write(path, str(value))
        if (kept := int(self._system.read(path))) != value:
            raise KernelError(f"{path}: wrote {value}, the kernel kept {kept}")
