"""Cgroup v2 in memory: controllers that are handed down, and partitions at the top."""

import errno
from pathlib import Path

from k40s.units import parse_cpu_list

ROOT = Path("/cg")
CONTROL = "cgroup.subtree_control"


class UnifiedKernel:
    """Implements ``GroupFiles``. ``old`` is a kernel that parts no cgroup which hands cpusets down.

    ``refuses`` are controllers whose hand-down is refused with EBUSY; ``withdraws`` are withdrawn
    from the top, as by systemd, each time that a cgroup is made, as often as it says.
    """

    def __init__(
        self,
        *,
        cpus: int = 2,
        controllers: str = "cpuset cpu io memory hugetlb pids rdma misc",
        old: bool = False,
        refuses: frozenset[str] = frozenset(),
        withdraws: dict[str, int] | None = None,
    ) -> None:
        self.online = frozenset(range(cpus))
        self.old = old
        self.refuses = refuses
        self.withdraws = withdraws or {}
        self.offered = frozenset(controllers.split())
        self.groups: dict[Path, set[str]] = {ROOT: set()}
        self.cpus: dict[Path, str] = {}
        self.parts: dict[Path, str] = {}

    def read(self, path: Path) -> str:
        group, name = path.parent, path.name
        if group not in self.groups:
            return ""
        found = {
            "cgroup.controllers": " ".join(sorted(self._controllers(group))),
            CONTROL: " ".join(sorted(self.groups[group])),
            "cpuset.cpus.effective": ",".join(map(str, sorted(self.effective(group)))),
        }
        if "cpuset" in self._controllers(group) and group != ROOT:
            found["cpuset.cpus.partition"] = self.parts.get(group, "member")
            found["cpuset.cpus"] = self.cpus.get(group, "")
        return found.get(name, "")

    def write(self, path: Path, text: str) -> None:
        group, name = path.parent, path.name
        if group not in self.groups:
            raise FileNotFoundError(errno.ENOENT, "absent", str(path))
        if name == CONTROL:
            self._control(group, text[0], text[1:])
        elif "cpuset" not in self._controllers(group) or group == ROOT:
            raise FileNotFoundError(errno.ENOENT, "absent", str(path))
        elif name == "cpuset.cpus":
            self.cpus[group] = text
        else:
            self._part(group, text)

    def make(self, path: Path) -> None:
        if path in self.groups:
            return
        self.groups[path] = set()
        for controller in [name for name, left in self.withdraws.items() if left]:
            self.withdraws[controller] -= 1
            self._control(ROOT, "-", controller)

    def children(self, path: Path) -> frozenset[str]:
        return frozenset(group.name for group in self.groups if group.parent == path)

    def remove(self, name: str) -> None:
        """A tree is gone, with its partition."""
        for group in [one for one in self.groups if ROOT / name in (one, *one.parents)]:
            del self.groups[group]
            self.cpus.pop(group, None)
            self.parts.pop(group, None)

    def effective(self, group: Path) -> frozenset[int]:
        """The CPUs on which a cgroup's processes run."""
        if self.parts.get(group) == "root":
            return self._listed(group)
        taken = frozenset[int]().union(*map(self._listed, self.parts))
        return (self._listed(group) or self.online) - taken or self.online - taken

    def _controllers(self, group: Path) -> frozenset[str]:
        return self.offered if group == ROOT else frozenset(self.groups[group.parent])

    def _control(self, group: Path, sign: str, controller: str) -> None:
        if controller not in self._controllers(group):
            raise FileNotFoundError(errno.ENOENT, "no such controller")
        below = [one for one in self.groups if one.parent == group and one != group]
        used = any(controller in self.groups[one] for one in below)
        if controller in self.refuses or (sign == "-" and used):
            raise OSError(errno.EBUSY, "Device or resource busy")
        if sign == "+":
            self.groups[group].add(controller)
        else:
            self.groups[group].discard(controller)
            if controller == "cpuset":
                for one in below:
                    self.cpus.pop(one, None)
                    self.parts.pop(one, None)

    def _part(self, group: Path, text: str) -> None:
        if text == "member":
            self.parts.pop(group, None)
            return
        wanted = self._listed(group)
        others = [one for one in self.groups if one.parent == group.parent and one != group]
        if self.old and "cpuset" in self.groups[group]:
            raise OSError(errno.EBUSY, "Device or resource busy")
        if any(wanted & self._listed(one) for one in others):
            self.parts[group] = "root invalid (Cpu list in cpuset.cpus not exclusive)"
        elif not wanted or not self.effective(ROOT) - wanted:
            self.parts[group] = "root invalid (Parent unable to distribute cpu downstream)"
        else:
            self.parts[group] = "root"

    def _listed(self, group: Path) -> frozenset[int]:
        return frozenset(parse_cpu_list(text) if (text := self.cpus.get(group, "")) else ())
