"""Real-time budget and CFS limits of a v1 cpu cgroup: read, written, read back.

The real-time budget: a period is written only while the budget is 0, so that nothing that runs is
stalled by it.

Ordinary threads: a budget group lies at the top of the cpu hierarchy, so an ordinary thread in it
is outside its container's CPU quota and shares. Such threads are born there (children of real-time
threads) or made there (a task that gives up its policy). The kernel's least CFS bandwidth, 1 ms in
each second for all of them and all CPUs together, bounds them whatever they do and however late
they are moved out. It does not apply to SCHED_FIFO threads, and what a thread has overrun stays
with the group when the thread leaves.

Writers raise ``KernelError`` where the kernel refuses.
"""

import errno
from functools import lru_cache
from pathlib import Path

from daemons.rubicante.kernel.system import System, Wait, read_if_readable
from k40s.errors import KernelError

_RUNTIME = "cpu.rt_runtime_us"
_PERIOD = "cpu.rt_period_us"
_RETRY_SECONDS = 0.005
NEW_PERIOD = 1_000_000
"""The real-time period of a new group, in microseconds."""
_SHARES, _CFS_PERIOD, _QUOTA = "cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us"
_IDLE = "cpu.idle"
LEAST = {_SHARES: 2, _CFS_PERIOD: 1_000_000, _QUOTA: 1_000}
"""The kernel's bounds (``MIN_SHARES``, ``max_cfs_quota_period``, ``min_cfs_quota_period``)."""
_ABSENT = (errno.ENOENT, errno.ENODEV)


class RtBudgets:
    """Writes real-time budgets, for all mechanisms. (Q, P) are microseconds.

    ``wait`` sleeps for some seconds or until the process stops.
    """

    def __init__(self, *, system: System, wait: Wait) -> None:
        self._system = system
        self._wait = wait

    def figures(self, cgroup: Path) -> tuple[int, int] | None:
        """(Q, P) of a cgroup; None when it is gone. Without a limit (-1) it is (P, P).

        Raises ``OSError`` where it cannot be read.
        """
        runtime, period = _files(cgroup)
        try:
            has, present = int(self._system.read(runtime)), int(self._system.read(period))
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise
        return (present if has < 0 else has, present)

    def read(self, cgroup: Path) -> tuple[int, int] | None:
        """The same, with ``KernelError`` where it cannot be read."""
        try:
            return self.figures(cgroup)
        except OSError as error:
            raise KernelError(f"{cgroup.name}: {error}") from error

    def give(self, cgroup: Path, budget: int, period: int, *, patience: float = 0.0) -> None:
        """Make a cgroup's budget (Q, P); its period must be P where it has a budget.

        EINVAL is tried again for ``patience`` seconds: a group that has just gone still counts.
        A cgroup that is gone has no budget that could be taken (Q = 0).
        """
        waited = 0.0
        while True:
            try:
                return self._give(cgroup, budget, period)
            except OSError as error:
                if not budget and isinstance(error, FileNotFoundError):
                    return None
                if error.errno != errno.EINVAL or waited >= patience:
                    raise KernelError(f"budget of {cgroup.name}: {error}") from error
            self._wait(_RETRY_SECONDS)
            waited += _RETRY_SECONDS

    def take(self, cgroup: Path) -> None:
        """Leave a cgroup as the kernel makes one: no budget, and the period of new groups."""
        self.give(cgroup, 0, NEW_PERIOD)
        _, file = _files(cgroup)
        try:
            if int(self._system.read(file)) != NEW_PERIOD:
                self._write(file, NEW_PERIOD)
        except FileNotFoundError:
            return
        except OSError as error:
            raise KernelError(f"period of {cgroup.name}: {error}") from error

    def _give(self, cgroup: Path, budget: int, period: int) -> None:
        runtime_file, period_file = _files(cgroup)
        has, present = int(self._system.read(runtime_file)), int(self._system.read(period_file))
        if budget and present != period:
            if has:
                raise KernelError(f"{cgroup.name} has a budget in {present}us, not in {period}us")
            self._write(period_file, period)
        if has != budget:
            self._write(runtime_file, budget)

    def _write(self, path: Path, value: int) -> None:
        self._system.write(path, str(value))
        if (kept := int(self._system.read(path))) != value:
            raise KernelError(f"{path}: wrote {value}, the kernel kept {kept}")


def has_rt_budgets(system: System, cgroup: Path) -> bool:
    """Whether the kernel keeps real-time budgets in this hierarchy (CONFIG_RT_GROUP_SCHED)."""
    return read_if_readable(system, cgroup / _RUNTIME) is not None


@lru_cache(maxsize=4096)
def _files(cgroup: Path) -> tuple[Path, Path]:
    """Runtime and period; a path costs as much as reading it."""
    return cgroup / _RUNTIME, cgroup / _PERIOD


def limit_ordinary_threads(system: System, group: Path) -> bool:
    """Set what differs, and read it back; True when something was written.

    Without ``CONFIG_CFS_BANDWIDTH`` the group is made idle (``cpu.idle``, Linux 5.15) where that
    exists: its ordinary threads then yield to all others, but may take a CPU that nobody wants.
    Nothing happens where the group is gone. Raises ``KernelError`` where the kernel refuses.
    """
    if not has_bandwidth_control(system, group):
        return _make_idle(system, group)
    # An idle group takes no shares; only other programs make it one.
    written = [_set(system, group / file, value) for file, value in LEAST.items()]
    return any(written)


def has_bandwidth_control(system: System, group: Path) -> bool:
    """Whether the kernel can bound ordinary threads of a group (``CONFIG_CFS_BANDWIDTH``)."""
    return _read(system, group / _QUOTA) is not None


def _make_idle(system: System, group: Path) -> bool:
    if _read(system, group / _IDLE) == 1:
        return False
    shares = _set(system, group / _SHARES, LEAST[_SHARES])
    return _set(system, group / _IDLE, 1) or shares


def _set(system: System, path: Path, value: int) -> bool:
    present = _read(system, path)
    if present is None or present == value:
        return False
    try:
        system.write(path, str(value))
    except OSError as error:
        if error.errno in _ABSENT:
            return False
        raise KernelError(f"{path.parent.name}/{path.name} = {value}: {error}") from error
    if (kept := _read(system, path)) not in (value, None):
        raise KernelError(f"{path}: wrote {value}, the kernel kept {kept}")
    return True


def _read(system: System, path: Path) -> int | None:
    try:
        return int(system.read(path))
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise KernelError(f"{path}: {error}") from error
