"""A kernel in memory: cgroups with the rt rules of kernel-facing code, threads, a little /proc."""

import errno
import os
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

CPU = Path("/cg/cpu")
PROC = Path("/proc")
_FIFO = 1


def _is_real_time(policy: int) -> bool:
    return policy & 0xFFFF == _FIFO


@dataclass
class Group:
    runtime: int = 0
    period: int = 1_000_000
    ordinary: dict[str, int] = field(default_factory=dict)
    tids: list[int] = field(default_factory=list)


@dataclass
class FakeThread:
    tid: int
    pid: int
    name: str
    started: int
    cgroup: Path
    inner_pid: int
    parent: int
    affinity: frozenset[int]
    policy: int = 0
    priority: int = 0
    state: str = "S"
    other_cgroup: str = "/"
    cpu_time: int = 0
    namespaces: int = 1
    """PID namespaces around the thread besides the first, where it has an ``inner_pid``."""
    command: str = ""
    """First word of its command line; its name where that is empty."""


class FakeKernel:
    """Implements ``System``. ``refuse`` maps a call's name to the errors that it raises next."""

    def __init__(self, cores: AbstractSet[int] = frozenset({0, 1})) -> None:
        self.groups: dict[Path, Group] = {CPU: Group(runtime=950_000)}
        self.threads: dict[int, FakeThread] = {}
        self.files: dict[Path, str] = {
            PROC / "sys/kernel/sched_rt_runtime_us": "950000\n",
            PROC / "sys/kernel/sched_rt_period_us": "1000000\n",
            PROC / "2" / "comm": "kthreadd\n",
            PROC / "self" / "status": "Name:\tx\nCapEff:\t0000000000800000\n",
        }
        self.cores = frozenset(cores)
        self.fair_files = {"cpu.shares": 1024, "cpu.cfs_period_us": 100_000, "cpu.cfs_quota_us": -1}
        self.refuse: dict[str, list[OSError]] = {}
        self.lingering: list[Fraction] = []
        self.on_read: Callable[[Path], None] = lambda _: None
        self.calls: list[tuple[object, ...]] = []
        self._next_tid = 100

    # Building a scene

    def make_groups(self, path: Path) -> Path:
        for parent in [*reversed(path.parents), path]:
            if parent.is_relative_to(CPU):
                self.groups.setdefault(parent, Group())
        return path

    def spawn(
        self,
        cgroup: Path,
        name: str,
        *,
        pid: int | None = None,
        inner_pid: int | None = None,
        other_cgroup: str = "/",
        parent: int = 1,
    ) -> int:
        """A thread; of a process of its own, or of ``pid``. ``inner_pid`` is its PID inside.

        Without ``inner_pid`` it is in no PID namespace. ``parent`` 1 is outside of all.
        """
        tid = self._next_tid
        self._next_tid += 1
        leader = tid if pid is None else pid
        self.threads[tid] = FakeThread(
            tid=tid,
            pid=leader,
            name=name,
            started=tid,
            cgroup=cgroup,
            inner_pid=inner_pid if inner_pid is not None else leader,
            parent=self.threads[leader].parent if leader in self.threads else parent,
            affinity=self.cores,
            other_cgroup=other_cgroup,
        )
        self.groups[cgroup].tids.append(tid)
        return tid

    def fork(self, tid: int, name: str) -> int:
        """A child process is born in its parent's group, ordinary, on its parent's core."""
        parent = self.threads[tid]
        child = self.spawn(parent.cgroup, name, other_cgroup=parent.other_cgroup, parent=parent.pid)
        if parent.inner_pid != parent.pid:
            self.threads[child].inner_pid = child + 1000
        self.threads[child].affinity = parent.affinity
        return child

    def kill(self, tid: int) -> None:
        self.groups[self.threads[tid].cgroup].tids.remove(tid)
        del self.threads[tid]

    def budget(self, path: Path) -> tuple[int, int]:
        return self.groups[path].runtime, self.groups[path].period

    def admitted(self) -> Fraction:
        """What the kernel has given to groups at the top."""
        return self.held_below(CPU)

    def held_below(self, path: Path) -> Fraction:
        """What it has given to the children of a group."""
        return sum((Fraction(*self.budget(child)) for child in self._children(path)), Fraction(0))

    # System

    def read(self, path: Path) -> str:
        self._check("read", path)
        self.on_read(path)
        if path in self.files:
            return self.files[path]
        if path.parent in self.groups:
            return self._read_group(self.groups[path.parent], path.name)
        if path.parent.parent == PROC and path.parent.name.isdecimal():
            return self._read_proc(int(path.parent.name), path.name)
        raise FileNotFoundError(errno.ENOENT, "absent", str(path))

    def write(self, path: Path, text: str) -> None:
        self._check("write", path, text)
        if path.parent not in self.groups:
            raise FileNotFoundError(errno.ENOENT, "absent", str(path))
        group = self.groups[path.parent]
        if path.name == "tasks":
            self._move(path.parent, int(text))
        elif path.name in self.fair_files:
            group.ordinary[path.name] = int(text)
        elif path.name == "cpu.rt_period_us":
            group.period = int(text)
        else:
            self._set_runtime(path.parent, group, int(text))

    def directories(self, path: Path) -> tuple[str, ...]:
        self._check("directories", path)
        if path not in self.groups:
            raise FileNotFoundError(errno.ENOENT, "absent", str(path))
        return tuple(sorted(child.name for child in self._children(path)))

    def make_directory(self, path: Path) -> None:
        self._check("make_directory", path)
        if path in self.groups:
            raise FileExistsError(errno.EEXIST, "exists", str(path))
        if path.parent not in self.groups:
            raise FileNotFoundError(errno.ENOENT, "absent", str(path))
        self.groups[path] = Group()

    def remove_directory(self, path: Path) -> None:
        self._check("remove_directory", path)
        if path not in self.groups:
            raise FileNotFoundError(errno.ENOENT, "absent", str(path))
        if self.groups[path].tids or any(self._children(path)):
            raise OSError(errno.EBUSY, "busy")
        del self.groups[path]

    def policy(self, tid: int) -> tuple[int, int]:
        thread = self._thread(tid)
        return thread.policy, thread.priority

    def set_policy(self, tid: int, policy: int, priority: int) -> None:
        self._check("set_policy", tid, policy, priority)
        thread = self._thread(tid)
        if _is_real_time(policy) and not self.groups[thread.cgroup].runtime:
            raise PermissionError(errno.EPERM, "the group has no real-time budget")
        thread.policy, thread.priority = policy, priority

    def affinity(self, tid: int) -> frozenset[int]:
        return self._thread(tid).affinity

    def set_affinity(self, tid: int, cores: AbstractSet[int]) -> None:
        self._check("set_affinity", tid, cores)
        self._thread(tid).affinity = frozenset(cores) & self.cores

    def online(self) -> frozenset[int]:
        return self.cores

    # Rules

    def _check(self, call: str, *arguments: object) -> None:
        if call not in ("read", "directories"):
            self.calls.append((call, *arguments))
        if self.refuse.get(call):
            raise self.refuse[call].pop(0)

    def _thread(self, tid: int) -> FakeThread:
        if tid not in self.threads:
            raise ProcessLookupError(errno.ESRCH, "no such process")
        return self.threads[tid]

    def _children(self, path: Path) -> Iterator[Path]:
        return (p for p in self.groups if p.parent == path and p != path)

    def _move(self, target: Path, tid: int) -> None:
        thread = self._thread(tid)
        if _is_real_time(thread.policy) and not self.groups[target].runtime:
            raise OSError(errno.EINVAL, "a real-time thread into a group without budget")
        self.groups[thread.cgroup].tids.remove(tid)
        self.groups[target].tids.append(tid)
        thread.cgroup = target

    def _set_runtime(self, path: Path, group: Group, runtime: int) -> None:
        if not runtime and any(_is_real_time(self.threads[t].policy) for t in group.tids):
            raise OSError(errno.EBUSY, "real-time threads inside")
        wanted = Fraction(runtime, group.period)
        others = self.held_below(path.parent) - Fraction(group.runtime, group.period)
        lingering = self.lingering.pop(0) if self.lingering else Fraction(0)
        if others + lingering + wanted > Fraction(*self.budget(path.parent)):
            raise OSError(errno.EINVAL, "more than the parent has")
        if self.held_below(path) > wanted:
            raise OSError(errno.EINVAL, "less than the children have")
        group.runtime = runtime

    def _read_group(self, group: Group, file: str) -> str:
        match file:
            case "tasks":
                return "".join(f"{tid}\n" for tid in group.tids)
            case "cpu.rt_runtime_us":
                return f"{group.runtime}\n"
            case "cpu.rt_period_us":
                return f"{group.period}\n"
            case _ if file in self.fair_files:
                return f"{group.ordinary.get(file, self.fair_files[file])}\n"
            case _:
                raise FileNotFoundError(errno.ENOENT, "absent", file)

    def _read_proc(self, tid: int, file: str) -> str:
        if tid not in self.threads:
            raise FileNotFoundError(errno.ENOENT, "absent", file)
        thread = self.threads[tid]
        match file:
            case "stat":
                middle = " ".join(["0"] * 18)
                return f"{tid} ({thread.name}) {thread.state} {middle} {thread.started} 0 0\n"
            case "status":
                between = f"\t{thread.pid}" * (thread.namespaces - 1)
                inner = "" if thread.inner_pid == thread.pid else f"{between}\t{thread.inner_pid}"
                ids = f"Tgid:\t{thread.pid}\nPPid:\t{thread.parent}\nNStgid:\t{thread.pid}{inner}\n"
                return f"Name:\t{thread.name}\n{ids}"
            case "cmdline":
                return f"{thread.command or thread.name}\0boot\0"
            case "schedstat":
                return f"{thread.cpu_time} 0 1\n"
            case _:
                cpu = "/" + str(thread.cgroup.relative_to(CPU))
                return f"3:cpuset:{thread.other_cgroup}\n1:cpu:{cpu}\n0::/\n"


FIFO = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
