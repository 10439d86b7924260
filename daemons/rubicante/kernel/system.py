"""The few system calls and files that enforcement rests on, behind one port."""

import errno
import logging
import os
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Protocol

from k40s.errors import KernelError
from k40s.units import parse_cpu_list

log = logging.getLogger(__name__)

Wait = Callable[[float], object]
"""Sleeps for some seconds, or until the process stops; then it returns True."""

_CHUNK = 65536
_ONLINE = Path("/sys/devices/system/cpu/online")


class System(Protocol):
    """Files of the cgroup and proc file systems, and the scheduler's system calls.

    Every method raises ``OSError`` as the kernel does.
    """

    def read(self, path: Path) -> str:
        """The text of a small file."""
        ...

    def write(self, path: Path, text: str) -> None:
        """One write of a whole value."""
        ...

    def directories(self, path: Path) -> tuple[str, ...]:
        """Names of the directories in a directory, sorted."""
        ...

    def make_directory(self, path: Path) -> None:
        """Make one directory (a cgroup)."""
        ...

    def remove_directory(self, path: Path) -> None:
        """Remove one directory (a cgroup)."""
        ...

    def policy(self, tid: int) -> tuple[int, int]:
        """Scheduling policy, with the reset-on-fork flag, and priority of a thread."""
        ...

    def set_policy(self, tid: int, policy: int, priority: int) -> None:
        """Set both."""
        ...

    def affinity(self, tid: int) -> frozenset[int]:
        """CPUs that a thread may run on."""
        ...

    def set_affinity(self, tid: int, cores: AbstractSet[int]) -> None:
        """Set them."""
        ...

    def online(self) -> frozenset[int]:
        """CPUs that are online."""
        ...


class LinuxSystem:
    """The running kernel. With ``dry_run`` nothing is written: each intention is logged instead."""

    def __init__(self, *, dry_run: bool = False) -> None:
        self.dry_run = dry_run

    def read(self, path: Path) -> str:
        """The text of a small file; bytes that are not UTF-8 (thread names) are kept escaped."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            parts = list(iter(lambda: os.read(descriptor, _CHUNK), b""))
        finally:
            os.close(descriptor)
        return b"".join(parts).decode(errors="backslashreplace")

    def write(self, path: Path, text: str) -> None:
        """One ``write(2)``; cgroup files take a value only whole."""
        if self._skips("write", path=str(path), text=text):
            return
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)

    def directories(self, path: Path) -> tuple[str, ...]:
        """Names of the directories in a directory, sorted."""
        with os.scandir(path) as entries:
            return tuple(sorted(e.name for e in entries if e.is_dir(follow_symlinks=False)))

    def make_directory(self, path: Path) -> None:
        """Make one directory."""
        if not self._skips("mkdir", path=str(path)):
            path.mkdir()

    def remove_directory(self, path: Path) -> None:
        """Remove one directory."""
        if not self._skips("rmdir", path=str(path)):
            path.rmdir()

    def policy(self, tid: int) -> tuple[int, int]:
        """``sched_getscheduler`` and ``sched_getparam``."""
        return os.sched_getscheduler(tid), os.sched_getparam(tid).sched_priority

    def set_policy(self, tid: int, policy: int, priority: int) -> None:
        """``sched_setscheduler``."""
        if not self._skips("sched_setscheduler", tid=tid, policy=policy, priority=priority):
            os.sched_setscheduler(tid, policy, os.sched_param(priority))

    def affinity(self, tid: int) -> frozenset[int]:
        """``sched_getaffinity``."""
        return frozenset(os.sched_getaffinity(tid))

    def set_affinity(self, tid: int, cores: AbstractSet[int]) -> None:
        """``sched_setaffinity``."""
        if not self._skips("sched_setaffinity", tid=tid, cores=sorted(cores)):
            os.sched_setaffinity(tid, cores)

    def online(self) -> frozenset[int]:
        """Read from sysfs: the process's own affinity may be narrower."""
        return frozenset(parse_cpu_list(self.read(_ONLINE).strip()))

    def _skips(self, call: str, **arguments: object) -> bool:
        if self.dry_run:
            log.info("dry run", extra={"call": call, **arguments})
        return self.dry_run


def read_if_readable(system: System, path: Path) -> str | None:
    """The text of a file without blanks at its ends; None where it cannot be read."""
    try:
        return system.read(path).strip()
    except OSError:
        return None


GONE = (errno.ENOENT, errno.ENODEV)
"""What the kernel answers for a cpuset that is not there any more."""


def read_cpuset(system: System, path: Path) -> str | None:
    """The text of a cpuset's file; None where the cpuset is gone. Raises ``KernelError``."""
    try:
        return system.read(path).strip()
    except OSError as error:
        if error.errno in GONE:
            return None
        raise KernelError(f"{path}: {error}") from error


def list_if_readable(system: System, path: Path) -> tuple[str, ...]:
    """Names of the directories in a directory; none where it cannot be read."""
    try:
        return system.directories(path)
    except OSError:
        return ()


def is_readable(system: System, path: Path) -> bool:
    """Whether a directory is there and can be read."""
    try:
        system.directories(path)
    except OSError:
        return False
    return True
