"""Cgroups as the kernel has them: quotas that it refuses, freezers, cgroups that vanish."""

import errno
import os
from collections.abc import Callable
from fractions import Fraction

from daemons.malacoda.actuator.kernel import FREEZER_STATE
from k40s.units import format_cpu_list, parse_cpu_list

BeforeWrite = Callable[[str, str], None]
BeforeChange = Callable[[str], None]
CONTAINER = "c" * 64
CPUS = "0-2"
_SHORTEST = 1000


def uid(number: int) -> str:
    return f"{number:08x}-1111-4222-8333-444444444444"


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)


class FakeKernel:
    """Implements ``CgroupFiles``. ``unified`` is v2, else v1 with cpu, freezer and cpuset.

    ``before`` is called before each write with its path and text; what it raises is the outcome.
    """

    def __init__(self, *, unified: bool = False, driver: str = "cgroupfs") -> None:
        self.unified = unified
        self.driver = driver
        self.writes: list[tuple[str, str]] = []
        self.killed: list[str] = []
        self.before: BeforeWrite = lambda _path, _text: None
        self.files: dict[str, dict[str, str]] = {}
        for tree in self.trees:
            top = "cgroup.controllers" if unified else "cgroup.clone_children"
            self.files[tree] = {top: "0"}
            if unified:
                self.files[tree]["cpuset.cpus.effective"] = CPUS
            elif tree == "cpuset":
                self.files[tree]["cpuset.cpus"] = CPUS
        self._make(self._kubepods())
        for qos in ("burstable", "besteffort"):
            self._make(self._qos(qos))

    @property
    def trees(self) -> tuple[str, ...]:
        return ("",) if self.unified else ("cpu,cpuacct", "freezer", "cpuset")

    def pod(self, pod: str, qos: str = "burstable", *, limit: int = -1, containers: int = 1) -> str:
        """Make a pod whose containers share a limit in milliseconds of 100; returns its path."""
        name = f"pod{pod}" if self.driver == "cgroupfs" else self._slice(pod, qos)
        path = f"{self._qos(qos)}/{name}"
        self._make(path, quota=limit if limit < 0 else limit * 1000)
        for number in range(containers):
            self.container(path, number, limit=limit if limit < 0 else limit // containers)
        return path

    def container(self, pod: str, number: int, *, limit: int = -1) -> None:
        """A runtime starts a container. Raises ``OSError`` as the kernel does."""
        path = f"{pod}/{str(number) + CONTAINER[1:]}"
        self._make(path)
        if limit > 0:
            cpu = self._path(path, "cpu.max" if self.unified else "cpu.cfs_quota_us")
            text = f"{limit * 1000} 100000" if self.unified else str(limit * 1000)
            self._set(cpu, text)

    def remove(self, pod: str) -> None:
        """The pod's cgroups are gone."""
        inside = [key for key in self.files if f"/{key}/".find(f"/{pod}/") >= 0]
        for key in inside:
            del self.files[key]

    def quota(self, pod: str) -> str:
        """What the pod's own quota reads."""
        return self.read(self._path(pod, "cpu.max" if self.unified else "cpu.cfs_quota_us"))

    def frozen(self, pod: str) -> bool:
        """Whether the pod is frozen."""
        if self.unified:
            return self.read(f"{pod}/cgroup.freeze") == "1"
        return self.read(f"freezer/{pod}/{FREEZER_STATE}") == "FROZEN"

    def set_quota(self, pod: str, text: str) -> None:
        """Somebody else writes."""
        self._set(self._path(pod, "cpu.max" if self.unified else "cpu.cfs_quota_us"), text)

    def snapshot(self) -> dict[str, dict[str, str]]:
        """Every value that counts: in v2 the CPUs that a cgroup may use, not how it has them."""
        return {
            path: {n: v for n, v in files.items() if not (self.unified and n == "cpuset.cpus")}
            for path, files in self.files.items()
        }

    def read(self, path: str) -> str:
        directory, _, name = path.rpartition("/")
        found = self.files.get(directory, {}).get(name)
        if found is None:
            raise _error(errno.ENOENT, path)
        return found

    def write(self, path: str, text: str) -> None:
        self.read(path)
        self.before(path, text)
        self._set(path, text)
        self.writes.append((path, text))

    def exists(self, path: str) -> bool:
        directory, _, name = path.rpartition("/")
        return name in self.files.get(directory, {})

    def tell(self, path: str, text: str) -> None:
        """``cgroup.kill``: an order that leaves no value."""
        self.read(path)
        self.before(path, text)
        self.killed.append(path.rpartition("/")[0])

    def cpus(self, pod: str) -> str:
        """The CPUs that the pod may run on."""
        directory = pod if self.unified else f"cpuset/{pod}"
        return self.read(f"{directory}/cpuset.cpus{'.effective' * self.unified}")

    def directories(self, path: str) -> tuple[str, ...]:
        if path and path not in self.files:
            raise _error(errno.ENOENT, path)
        begin = f"{path}/" if path else ""
        below = {key for key in self.files if key.startswith(begin) and key != path}
        return tuple(sorted({key[len(begin) :].split("/")[0] for key in below} - {""}))

    def _set(self, path: str, text: str) -> None:
        directory, _, name = path.rpartition("/")
        old = self.files[directory][name]
        if name == "cpuset.cpus":
            self._set_cpus(directory, text)
            return
        self.files[directory][name] = text
        if not self._allowed(directory):
            self.files[directory][name] = old
            raise _error(errno.EINVAL, path)

    def _set_cpus(self, directory: str, text: str) -> None:
        """v1: no more than the parent, no less than a child; v2: what both have in common."""
        parent = self.files.get(directory.rpartition("/")[0], {})
        own = set(parse_cpu_list(text)) if text else set()
        inner = [files for key, files in self.files.items() if key.rpartition("/")[0] == directory]
        if self.unified and not own and self.files[directory]["cpuset.cpus"]:
            raise _error(errno.ENOSPC, directory)
        if self.unified:
            above = set(parse_cpu_list(parent["cpuset.cpus.effective"]))
            self.files[directory]["cpuset.cpus"] = text
            self.files[directory]["cpuset.cpus.effective"] = format_cpu_list(own & above or above)
            for key in [k for k in self.files if k.rpartition("/")[0] == directory]:
                self._set_cpus(key, self.files[key]["cpuset.cpus"])
            return
        outside = "cpuset.cpus" in parent and not own <= set(parse_cpu_list(parent["cpuset.cpus"]))
        children = any(not set(parse_cpu_list(one["cpuset.cpus"])) <= own for one in inner)
        if not own or outside or children:
            raise _error(errno.EINVAL, directory)
        self.files[directory]["cpuset.cpus"] = text

    def _allowed(self, directory: str) -> bool:
        """The kernel's tests of a quota: shortest, burst, and in v1 the hierarchy."""
        own, period = self._own(directory)
        burst = self.files[directory].get("cpu.max.burst" if self.unified else "cpu.cfs_burst_us")
        if own is not None and (own < _SHORTEST or int(burst or 0) > own):
            return False
        if self.unified or (own is None and not directory):
            return True
        ratio = self._effective(directory)
        below = [key for key in self.files if key.startswith(f"{directory}/")]
        parent = self._effective(directory.rpartition("/")[0])
        if own is not None and parent is not None and Fraction(own, period) > parent:
            return False
        for key in below:
            inner, length = self._own(key)
            if inner is not None and ratio is not None and Fraction(inner, length) > ratio:
                return False
        return True

    def _own(self, directory: str) -> tuple[int | None, int]:
        files = self.files.get(directory, {})
        if "cpu.max" in files:
            quota, period = files["cpu.max"].split()
            return None if quota == "max" else int(quota), int(period)
        if "cpu.cfs_quota_us" not in files:
            return None, 1
        quota = int(files["cpu.cfs_quota_us"])
        return None if quota < 0 else quota, int(files["cpu.cfs_period_us"])

    def _effective(self, directory: str) -> Fraction | None:
        while directory:
            quota, period = self._own(directory)
            if quota is not None:
                return Fraction(quota, period)
            directory = directory.rpartition("/")[0]
        return None

    def _make(self, path: str, quota: int = -1) -> None:
        if self.unified:
            text = "max" if quota < 0 else str(quota)
            self.files[path] = {
                "cpu.max": f"{text} 100000",
                "cpu.max.burst": "0",
                "cgroup.freeze": "0",
                "cgroup.kill": "",
                "cpuset.cpus": "",
                "cpuset.cpus.effective": CPUS,
            }
            return
        cpu, freezer, cpuset = self.trees
        self.files[f"{cpu}/{path}"] = {
            "cpu.cfs_quota_us": str(quota),
            "cpu.cfs_period_us": "100000",
            "cpu.cfs_burst_us": "0",
        }
        self.files[f"{freezer}/{path}"] = {FREEZER_STATE: "THAWED"}
        self.files[f"{cpuset}/{path}"] = {"cpuset.cpus": CPUS}

    def _path(self, path: str, name: str) -> str:
        return f"{path}/{name}" if self.unified else f"{self.trees[0]}/{path}/{name}"

    def _kubepods(self) -> str:
        return "kubepods" if self.driver == "cgroupfs" else "kubepods.slice"

    def _qos(self, qos: str) -> str:
        if not qos:
            return self._kubepods()
        name = qos if self.driver == "cgroupfs" else f"kubepods-{qos}.slice"
        return f"{self._kubepods()}/{name}"

    def _slice(self, pod: str, qos: str) -> str:
        stem = f"kubepods-{qos}" if qos else "kubepods"
        return f"{stem}-pod{pod.replace('-', '_')}.slice"


class FakeStore:
    """A durable map in memory, which outlives the actuator that writes it.

    ``before`` is called before each change; what it raises is the outcome.
    """

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.before: BeforeChange = lambda _key: None

    def entries(self) -> dict[str, str]:
        return dict(self.texts)

    def put(self, key: str, text: str) -> None:
        self.before(key)
        self.texts[key] = text

    def delete(self, key: str) -> None:
        self.before(key)
        self.texts.pop(key, None)
