"""A kernel in memory as SCHED_DEADLINE sees it: root domains, bandwidth, cpusets of v1 and v2.

Implements ``System``, ``Attributes``, ``StartProbe``. What it refuses, and its fault with sleeping
threads, are those of Linux 6.18.
"""

import errno
import os
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from daemons.rubicante.kernel.preemption import REALTIME
from daemons.rubicante.kernel.sched_attr import SCHED_DEADLINE, SchedAttr
from k40s.units import parse_cpu_list

PROC = Path("/proc")
V1 = Path("/cg/cpuset")
V2 = Path("/cg/unified")
FLAG = 0x40000000
LIMIT = Fraction(9, 10)


@dataclass
class Thread:
    name: str
    affinity: frozenset[int]
    last_cpu: int = 0
    started: int = 1
    attr: SchedAttr = field(default_factory=lambda: SchedAttr(policy=os.SCHED_OTHER))
    cgroup: Path = V1
    pod: str = "/"
    charged: Fraction = Fraction(0)
    state: str = "S"


class DomainKernel:
    """``cpusets`` are those of v1 with their files; ``refuse`` maps a call to errors to raise."""

    def __init__(self, cores: AbstractSet[int] = frozenset({0, 1})) -> None:
        self.cores = frozenset(cores)
        every = ",".join(map(str, sorted(cores)))
        self.files: dict[Path, str] = {
            PROC / "sys/kernel/sched_rt_runtime_us": "950000",
            PROC / "sys/kernel/sched_rt_period_us": "1000000",
            PROC / "sys/kernel/random/boot_id": "boot-1\n",
            REALTIME: "1\n",
            V1 / "cpuset.mems": "0",
            V1 / "cpuset.cpus": every,
            V1 / "cpuset.sched_load_balance": "1",
        }
        self.folders: set[Path] = {V1, V2}
        self.threads: dict[int, Thread] = {}
        self.lost: Fraction = Fraction(0)
        self.refuse: dict[str, list[OSError]] = {}
        self.writes: list[tuple[Path, str]] = []
        self.asked: list[SchedAttr] = []

    def spawn(self, tid: int, *, name: str = "ctl", pod: str = "/") -> int:
        self.threads[tid] = Thread(name=name, affinity=self.cores, pod=pod)
        return tid

    def add_cpuset(self, path: Path, cpus: str) -> None:
        self.make_directory(path)
        self.files[path / "cpuset.cpus"] = cpus

    # System

    def read(self, path: Path) -> str:
        if path.name == "tasks":
            self._must_exist(path.parent)
            return "".join(f"{t}\n" for t, th in self.threads.items() if th.cgroup == path.parent)
        if path.name == "cgroup.threads":
            return "".join(
                f"{t}\n" for t, th in self.threads.items() if V2 / th.pod[1:] == path.parent
            )
        if path.parent.parent == PROC and path.parent.name.isdecimal():
            return self._read_proc(int(path.parent.name), path.name)
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, "absent", str(path))
        return self.files[path]

    def write(self, path: Path, text: str) -> None:
        self._check("write")
        self._must_exist(path.parent)
        self.writes.append((path, text))
        if path.name == "tasks":
            self._move(int(text), path.parent)
            return
        if path.name == "features":
            self._switch(path, text)
            return
        if path.name == "cpuset.cpus.exclusive":
            self._check_exclusive(path.parent, text.strip())
        self.files[path] = text.strip()
        if path.name in {"cpuset.cpus", "cpuset.sched_load_balance"}:
            self.lost = Fraction(0)

    def directories(self, path: Path) -> tuple[str, ...]:
        self._must_exist(path)
        return tuple(sorted(p.name for p in self.folders if p.parent == path))

    def make_directory(self, path: Path) -> None:
        self._check("make_directory")
        if path in self.folders:
            raise FileExistsError(errno.EEXIST, "exists", str(path))
        self.folders.add(path)
        if path.is_relative_to(V1):
            defaults = {"cpuset.cpus": "", "cpuset.mems": "", "cpuset.sched_load_balance": "1"}
        else:
            defaults = {"cpuset.cpus.exclusive": "", "cpuset.cpus.partition": "member"}
        self.files.update({path / name: value for name, value in defaults.items()})

    def remove_directory(self, path: Path) -> None:
        self._must_exist(path)
        if any(thread.cgroup == path for thread in self.threads.values()):
            raise OSError(errno.EBUSY, "busy")
        self.folders.discard(path)
        self.files = {p: v for p, v in self.files.items() if p.parent != path}

    def policy(self, tid: int) -> tuple[int, int]:
        attr = self._thread(tid).attr
        return attr.policy | (FLAG if attr.flags else 0), attr.priority

    def set_policy(self, tid: int, policy: int, priority: int) -> None:
        raise NotImplementedError

    def affinity(self, tid: int) -> frozenset[int]:
        return self._thread(tid).affinity

    def set_affinity(self, tid: int, cores: AbstractSet[int]) -> None:
        self._thread(tid).affinity = frozenset(cores)

    def online(self) -> frozenset[int]:
        return self.cores

    # Attributes

    def get(self, tid: int) -> SchedAttr:
        return self._thread(tid).attr

    def set(self, tid: int, attr: SchedAttr) -> None:
        thread = self._thread(tid)
        self._check("set")
        self.asked.append(attr)
        if not self.domain(thread.last_cpu) <= thread.affinity:
            raise PermissionError(errno.EPERM, "not the whole domain")
        share = Fraction((attr.runtime << 20) // attr.period, 1 << 20)
        if self.total(thread.last_cpu) - thread.charged + share > LIMIT * len(
            self.domain(thread.last_cpu)
        ):
            raise OSError(errno.EBUSY, "no room")
        thread.attr, thread.charged = attr, share

    def make_ordinary(self, tid: int) -> None:
        thread = self._thread(tid)
        if thread.attr.policy == SCHED_DEADLINE:
            self.lost += thread.charged
        thread.attr, thread.charged = SchedAttr(policy=os.SCHED_OTHER), Fraction(0)

    def domain(self, cpu: int) -> frozenset[int]:
        """The root domain of a CPU, as the cpusets cut it."""
        for folder in self.folders:
            if self.files.get(folder / "cpuset.cpus.partition") == "root":
                held = frozenset(parse_cpu_list(self.files[folder / "cpuset.cpus.exclusive"]))
                if cpu in held:
                    return held
        balanced = [
            frozenset(parse_cpu_list(self.files[path / "cpuset.cpus"]))
            for path in self.folders
            if self.files.get(path / "cpuset.sched_load_balance") == "1"
            and self.files[path / "cpuset.cpus"]
        ]
        joined = frozenset({cpu})
        while any(b & joined and not b <= joined for b in balanced):
            joined = joined.union(*(b for b in balanced if b & joined))
        return joined

    def total(self, cpu: int) -> Fraction:
        charged = (t.charged for t in self.threads.values() if t.last_cpu in self.domain(cpu))
        return sum(charged, self.lost)

    # StartProbe

    def __call__(
        self, cores: AbstractSet[int], *, enter: Callable[[int], object] | None = None
    ) -> "FakeProbe":
        tid = 9000 + len(self.threads)
        self.spawn(tid, name="probe")
        if enter is not None:
            enter(tid)
        thread = self.threads[tid]
        thread.affinity, thread.last_cpu = frozenset(cores), min(cores)
        return FakeProbe(self, tid)

    def _check(self, call: str) -> None:
        if self.refuse.get(call):
            raise self.refuse[call].pop(0)

    def _must_exist(self, path: Path) -> None:
        if path not in self.folders:
            raise FileNotFoundError(errno.ENOENT, "absent", str(path))

    def _thread(self, tid: int) -> Thread:
        if tid not in self.threads:
            raise ProcessLookupError(errno.ESRCH, "no such process")
        return self.threads[tid]

    def _move(self, tid: int, target: Path) -> None:
        thread = self._thread(tid)
        thread.cgroup = target
        thread.affinity = frozenset(parse_cpu_list(self.files[target / "cpuset.cpus"]))

    def _switch(self, path: Path, text: str) -> None:
        """A feature is switched by its name, and off by NO_ and its name."""
        name = text.removeprefix("NO_")
        words = self.files[path].split()
        if name not in words and f"NO_{name}" not in words:
            raise OSError(errno.EINVAL, "Invalid argument")
        self.files[path] = " ".join(
            text if word.removeprefix("NO_") == name else word for word in words
        )

    def _check_exclusive(self, path: Path, text: str) -> None:
        wanted = frozenset(parse_cpu_list(text)) if text else frozenset()
        for sibling in self.folders - {path}:
            claimed = self.files.get(sibling / "cpuset.cpus.exclusive", "")
            held = frozenset(parse_cpu_list(claimed)) if claimed else frozenset()
            if sibling.parent == path.parent and wanted & held:
                raise OSError(errno.EINVAL, "Invalid argument")

    def _read_proc(self, tid: int, file: str) -> str:
        if tid not in self.threads:
            raise FileNotFoundError(errno.ENOENT, "absent")
        thread = self.threads[tid]
        if file == "stat":
            fields = [
                thread.state,
                *["0"] * 18,
                str(thread.started),
                *["0"] * 16,
                str(thread.last_cpu),
            ]
            return f"{tid} ({thread.name}) {' '.join(fields)}"
        cpuset = "/" + str(thread.cgroup.relative_to(V1)).removeprefix(".")
        return f"4:cpuset:{cpuset}\n3:freezer:{thread.pod}\n0::{thread.pod}\n"


class FakeProbe:
    """A probe thread in the fake kernel."""

    def __init__(self, kernel: DomainKernel, tid: int) -> None:
        self._kernel = kernel
        self.tid = tid

    def attempt(self, attr: SchedAttr) -> OSError | None:
        try:
            self._kernel.set(self.tid, attr)
        except OSError as error:
            return error
        thread = self._kernel.threads[self.tid]
        thread.attr, thread.charged = SchedAttr(policy=os.SCHED_OTHER), Fraction(0)
        return None

    def close(self) -> None:
        self._kernel.threads.pop(self.tid, None)
