"""Threads as the scheduler sees them, and the processes of a container.

A container's program is PID 1 of its PID namespace; where it has none of its own, the oldest of
those that were started from outside. What else was started from outside, by ``kubectl exec`` or as
a probe, is a visitor: its parent is in no PID namespace of the container's.
"""

import os
import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from daemons.rubicante.kernel.sched_attr import SCHED_DEADLINE, Attributes, drop
from daemons.rubicante.kernel.system import System
from k40s.errors import KernelError
from k40s.node_agent.kubepods import is_in_kubepods

FIFO = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
"""A child of a real-time thread starts as an ordinary one, without its parent's priority."""
NAME_BYTES = 15
"""The kernel keeps this many bytes of a thread's name."""
_RUNTIME = re.compile(
    r"(?:runc|crun|youki|runsc|sysbox-runc)(?:[:-].*)?|conmon(?:rs)?|containerd-shim.*|kata-.*"
    r"|nvidia-containe|exe|[0-9]+",
    re.DOTALL,
)
"""A runtime's own processes are in the container's cgroup until they become the program. One
that was executed from a descriptor bears its number, or ``exe``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """``started`` (clock ticks since boot) distinguishes threads that had the same TID."""

    tid: int
    started: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """The process of a thread; ``inner_pid`` is its PID inside its own PID namespace.

    ``depth`` counts the PID namespaces that it is in, ``parent`` is its parent's PID.
    """

    pid: int
    inner_pid: int
    parent: int
    depth: int


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

    def lives(self, tid: int, started: int) -> bool:
        """Whether the thread that began then is alive, and its TID is not another's by now."""
        found = self.find(tid)
        return found is not None and found.started == started

    def process(self, tid: int) -> Process | None:
        """The process that a thread belongs to."""
        text = self._read(tid, "status")
        if text is None:
            return None
        # The name comes first and may have any character but a line's end, which is escaped.
        fields = dict(line.split(":", 1) for line in text.split("\n") if ":" in line)
        pid = int(fields["Tgid"])
        inner = (fields.get("NStgid") or fields.get("NSpid") or str(pid)).split()
        parent = int(fields.get("PPid", "0"))
        return Process(pid=pid, inner_pid=int(inner[-1]), parent=parent, depth=len(inner))

    def command(self, tid: int) -> str:
        """The first word of its process's command line, without directories; "" without any."""
        return (self._read(tid, "cmdline") or "").partition("\0")[0].rpartition("/")[2]

    def kubepods_path(self, tid: int) -> str | None:
        """The thread's cgroup in another v1 hierarchy: the path its container has in all of them.

        None when no hierarchy shows one below a ``kubepods`` group.
        """
        for controllers, path in self._cgroups(tid):
            if controllers != "cpu" and is_in_kubepods(path):
                return path
        return None

    def cgroup(self, tid: int, controller: str) -> str | None:
        """The thread's cgroup in the v1 hierarchy of a controller; None without one."""
        for controllers, path in self._cgroups(tid):
            if controller in controllers.split(","):
                return path
        return None

    def _cgroups(self, tid: int) -> Iterator[tuple[str, str]]:
        """Controllers and path in each hierarchy. Names below a container's may be of any kind."""
        for line in (self._read(tid, "cgroup") or "").split("\n"):
            parts = line.split(":", 2)
            if len(parts) == 3:  # noqa: PLR2004  # number, controllers, path
                yield parts[1], parts[2]

    def last_cpu(self, tid: int) -> int | None:
        """The CPU that a thread runs on, or ran on before it slept; None when it is gone."""
        text = self._read(tid, "stat")
        return None if text is None else int(text.rpartition(")")[2].split()[36])

    def sleeps(self, tid: int) -> bool:
        """Whether a thread waits for something, and neither runs nor could."""
        text = self._read(tid, "stat")
        return text is not None and text.rpartition(")")[2].split()[0] in "SD"

    def waits(self, tid: int) -> bool:
        """Whether a thread sleeps until something happens; not within a call to a device."""
        text = self._read(tid, "stat")
        return text is not None and text.rpartition(")")[2].split()[0] == "S"

    def activity(self, tid: int) -> str | None:
        """A text that changes whenever the thread has run; None where the kernel keeps none."""
        return self._read(tid, "schedstat")

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


class Processes:
    """Reads each process once, and only when needed. ``members`` are all threads.

    A container may have ten thousand of them, each other's children or not, so every method costs
    at most one step for each.
    """

    def __init__(self, *, threads: Threads, members: Sequence[Thread]) -> None:
        self._threads = threads
        self._members = tuple(members)
        self._tids = frozenset(thread.tid for thread in members)
        self._read: dict[int, Process | None] = {}
        self._all: dict[int, tuple[Process, list[Thread]]] = {}
        self._tops: dict[int, Process] = {}

    def of(self, thread: Thread) -> Process | None:
        """The process of a thread; None when it is gone."""
        return self._find(thread.tid)

    def main(self) -> Process | None:
        """The container's program; None before it runs."""
        first = self._first
        return None if first is None or self._is_runtime(first) else first

    def threads(self, process: Process) -> tuple[Thread, ...]:
        """The living threads of a process."""
        return tuple(self._known()[process.pid][1])

    def leader(self, process: Process) -> Thread | None:
        """Its first thread; None where that has ended and others live on."""
        return next((t for t in self.threads(process) if t.tid == process.pid), None)

    def name(self, process: Process) -> str:
        """The name of its first thread, or of the oldest that there is."""
        return (self.leader(process) or min(self.threads(process), key=_age_of)).name

    def others(self, process: Process) -> tuple[Process, ...]:
        """Other processes but visitors and their children, oldest first."""
        rest = [p for p, _ in self._known().values() if p.pid != process.pid]
        kept = [p for p in rest if not self._is_runtime(p) and not self._visits(p)]
        return tuple(sorted(kept, key=self._age))

    def is_visitor(self, thread: Thread) -> bool:
        """Whether a thread belongs to what was started from outside beside the program."""
        process = self.of(thread)
        return process is not None and self._visits(process)

    def heads(self, processes: Sequence[Process]) -> tuple[Process, ...]:
        """Those of some processes that were started by none of the others, even in steps."""
        given = {process.pid for process in processes}
        below: dict[int, bool] = {}
        for process in processes:
            passed = [process.pid]
            found = False
            for parent in self._above(process):
                found = parent.pid in given or below.get(parent.pid, False)
                if found or parent.pid in below:
                    break
                passed.append(parent.pid)
            below.update(dict.fromkeys(passed, found))
        return tuple(process for process in processes if not below[process.pid])

    @cached_property
    def _first(self) -> Process | None:
        """The process that is, or will become, the container's program.

        A program may make PID namespaces of its own, each with a PID 1: the container's is outside.
        """
        all_ = self._known()
        first = [p for p, _ in all_.values() if p.inner_pid == 1 and p.depth > 1]
        if first:
            return min(first, key=lambda p: (p.depth, self._age(p)))
        roots = [p for p, _ in all_.values() if p.parent not in all_ and not self._is_runtime(p)]
        return min(roots, key=self._age, default=None)

    def _visits(self, process: Process) -> bool:
        top = self._top(process)
        if top.depth > 1 and top.inner_pid == 1:
            return False
        outer = self._find(top.parent)
        if outer is None or outer.depth >= top.depth:
            return False  # without a PID namespace, an orphan looks the same
        program = self._first
        return program is not None and program.pid != top.pid

    def _top(self, process: Process) -> Process:
        """The uppermost of a process and those above it in this container."""
        top, passed = process, [process.pid]
        for above in self._above(process):
            top = self._tops.get(above.pid, above)
            if above.pid in self._tops:
                break
            passed.append(above.pid)
        self._tops.update(dict.fromkeys(passed, top))
        return top

    def _above(self, process: Process) -> Iterator[Process]:
        """The processes above one in this container, from its parent upwards."""
        passed = {process.pid}
        while process.parent in self._tids:
            parent = self._find(process.parent)
            if parent is None or parent.pid in passed:
                return
            yield parent
            passed.add(parent.pid)
            process = parent

    def _known(self) -> dict[int, tuple[Process, list[Thread]]]:
        if not self._all:
            for thread in self._members:
                process = self.of(thread)
                if process is not None:
                    self._all.setdefault(process.pid, (process, []))[1].append(thread)
        return self._all

    def _find(self, tid: int) -> Process | None:
        if tid not in self._read:
            self._read[tid] = self._threads.process(tid)
        return self._read[tid]

    def _is_runtime(self, process: Process) -> bool:
        return is_runtime(self.name(process))

    def _age(self, process: Process) -> tuple[int, int]:
        return min(map(_age_of, self.threads(process)))


def is_runtime(name: str) -> bool:
    """Whether a thread of this name belongs to a container runtime, not to what it runs."""
    return _RUNTIME.fullmatch(name) is not None


def _age_of(thread: Thread) -> tuple[int, int]:
    return thread.started, thread.tid


def is_deadline(policy: int) -> bool:
    """Whether what ``sched_getscheduler`` answers, with its flags, is SCHED_DEADLINE."""
    return policy & 0xFFFF == SCHED_DEADLINE


def is_ordinary(policy: tuple[int, int] | None) -> bool:
    """Whether a thread with this policy and priority is ordinary; False for one that is gone."""
    return policy is not None and not policy[1] and not is_deadline(policy[0])


def make_ordinary(threads: Threads, attributes: Attributes | None, tid: int) -> bool:
    """False when it died. One that is ordinary, of whatever kind, stays what it is.

    ``attributes`` end a SCHED_DEADLINE of a former contract. Raises ``KernelError``.
    """
    policy = threads.policy(tid)
    if policy is not None and is_deadline(policy[0]):
        try:
            return attributes is None or drop(attributes, tid, asleep=threads.sleeps(tid))
        except OSError as error:
            raise KernelError(f"sched_setattr({tid}): {error}") from error
    if is_ordinary(policy):
        return True
    return threads.set_policy(tid, os.SCHED_OTHER, 0)
