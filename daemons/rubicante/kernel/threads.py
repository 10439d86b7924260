"""Threads as the scheduler sees them: name, age, policy, core."""

import os
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from daemons.rubicante.kernel.system import System
from k40s.errors import KernelError

FIFO = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
"""A child of a real-time thread starts as an ordinary one, without its parent's priority."""
NAME_BYTES = 15
"""The kernel keeps this many bytes of a thread's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """``started`` (clock ticks since boot) tells a thread from a later one with the same TID."""

    tid: int
    started: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """The process of a thread; ``inner_pid`` is its PID inside its own PID namespace."""

    pid: int
    inner_pid: int


class Threads:
    """Reads threads from ``proc`` and sets how they are scheduled."""

    def __init__(self, *, system: System, proc: Path) -> None:
        self._system = system
        self._proc = proc

    def find(self, tid: int) -> Thread | None:
        """A living thread; None when it is gone or only waits to be reaped."""
        text = self._read(tid, "stat")
        if text is None:
            return None
        head, _, tail = text.rpartition(")")
        fields = tail.split()
        if fields[0] in "ZX":
            return None
        return Thread(tid=tid, started=int(fields[19]), name=head.partition("(")[2])

    def process(self, tid: int) -> Process | None:
        """The process that a thread belongs to."""
        text = self._read(tid, "status")
        if text is None:
            return None
        fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        pid = int(fields["Tgid"])
        return Process(pid=pid, inner_pid=int(fields.get("NSpid", str(pid)).split()[-1]))

    def kubepods_path(self, tid: int) -> str | None:
        """The thread's cgroup in another v1 hierarchy: the path its container has in all of them.

        None when no hierarchy shows one below a ``kubepods`` group.
        """
        for line in (self._read(tid, "cgroup") or "").splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers != "cpu" and "/kubepods" in path:
                return path
        return None

    def cgroup(self, tid: int, controller: str) -> str | None:
        """The thread's cgroup in the v1 hierarchy of a controller; None without one."""
        for line in (self._read(tid, "cgroup") or "").splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                return path
        return None

    def last_cpu(self, tid: int) -> int | None:
        """The CPU that a thread runs on, or ran on before it slept; None when it is gone."""
        text = self._read(tid, "stat")
        return None if text is None else int(text.rpartition(")")[2].split()[36])

    def sleeps(self, tid: int) -> bool:
        """Whether a thread waits for something, and neither runs nor could."""
        text = self._read(tid, "stat")
        return text is not None and text.rpartition(")")[2].split()[0] in "SD"

    def policy(self, tid: int) -> tuple[int, int] | None:
        """Policy with the reset-on-fork flag, and priority; None when the thread is gone."""
        try:
            return self._system.policy(tid)
        except ProcessLookupError:
            return None

    def affinity(self, tid: int) -> frozenset[int]:
        """CPUs that a thread may run on; empty when it is gone."""
        try:
            return self._system.affinity(tid)
        except ProcessLookupError:
            return frozenset()

    def pin(self, tid: int, cores: AbstractSet[int]) -> bool:
        """Confine a thread to cores; False when it died. Written only when different."""
        try:
            if self._system.affinity(tid) != cores:
                self._system.set_affinity(tid, cores)
        except ProcessLookupError:
            return False
        except OSError as error:
            raise KernelError(f"sched_setaffinity({tid}, {sorted(cores)}): {error}") from error
        return True

    def set_policy(self, tid: int, policy: int, priority: int) -> bool:
        """Set policy and priority and read them back; False when it died."""
        try:
            if self._system.policy(tid) == (policy, priority):
                return True
            self._system.set_policy(tid, policy, priority)
            kept = self._system.policy(tid)
        except ProcessLookupError:
            return False
        except OSError as error:
            raise KernelError(
                f"sched_setscheduler({tid}, {policy}, {priority}): {error}"
            ) from error
        if kept != (policy, priority):
            raise KernelError(f"thread {tid}: set {(policy, priority)}, the kernel kept {kept}")
        return True

    def _read(self, tid: int, file: str) -> str | None:
        try:
            return self._system.read(Path(f"{self._proc}/{tid}/{file}"))
        except (FileNotFoundError, ProcessLookupError):
            return None
