"""Cgroups of pods as kubelet makes them, in ordinary directories."""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

KUBEPODS = {"cgroupfs": "kubepods", "systemd": "kubepods.slice"}


def uid(number: int) -> str:
    return f"{number:08x}-1111-4222-8333-444444444444"


@dataclass(kw_only=True)
class FakeCgroups:
    """``unified`` is cgroup v2; else v1, with cpuacct as its hierarchy is called."""

    root: Path
    unified: bool = False
    driver: str = "cgroupfs"
    below: str = ""
    cpus: Sequence[int] = (0, 1)
    accounting: str = "cpu,cpuacct"

    def __post_init__(self) -> None:
        for tree in self.trees:
            self.kubepods(tree).mkdir(parents=True)
            (tree / ("cgroup.controllers" if self.unified else "tasks")).write_text("")
        if not self.unified:
            (self.root / "unified").mkdir()
            (self.root / "unified/cgroup.controllers").write_text("")
            rows = "".join(f"{cpu} 5 6\n" for cpu in self.cpus)
            (self.trees[0] / "cpuacct.usage_all").write_text(f"cpu user system\n{rows}")
            self.node([9_000_000_000] * len(self.cpus), [3_000_000_000] * len(self.cpus))

    @property
    def trees(self) -> tuple[Path, ...]:
        if self.unified:
            return (self.root,)
        return self.root / self.accounting, self.root / "pids"

    def kubepods(self, tree: Path) -> Path:
        return tree / self.below / KUBEPODS[self.driver]

    def node(self, used: Iterable[int], system: Iterable[int]) -> None:
        (self.trees[0] / "cpuacct.usage_percpu").write_text(_row(used))
        (self.trees[0] / "cpuacct.usage_percpu_sys").write_text(_row(system))

    def paths(self, pod: str, qos: str = "") -> tuple[Path, ...]:
        """The pod's cgroup in each tree."""
        if self.driver == "cgroupfs":
            name = f"{qos}/pod{pod}".lstrip("/")
        else:
            stem = f"kubepods-{qos}" if qos else "kubepods"
            name = f"{stem}.slice/" if qos else ""
            name += f"{stem}-pod{pod.replace('-', '_')}.slice"
        return tuple(self.kubepods(tree) / name for tree in self.trees)

    def pod(
        self,
        pod: str,
        qos: str = "",
        *,
        used: Sequence[int] = (0, 0),
        system: Sequence[int] = (0, 0),
        pids: int | str = 1,
        cpuset: str = "0-1",
    ) -> None:
        """Make the pod's cgroup, or set its counters; times are nanoseconds by CPU."""
        paths = self.paths(pod, qos)
        for path in paths:
            (path / ("c" * 64)).mkdir(parents=True, exist_ok=True)
        (paths[-1] / "pids.current").write_text(f"{pids}\n")
        if self.unified:
            user = sum(used) - sum(system)
            (paths[0] / "cpu.stat").write_text(
                f"usage_usec {sum(used) // 1000}\nuser_usec {user // 1000}\n"
                f"system_usec {sum(system) // 1000}\nnice_usec 0\nnr_periods 0\n"
            )
            (paths[0] / "cpuset.cpus.effective").write_text(f"{cpuset}\n")
        else:
            (paths[0] / "cpuacct.usage_percpu").write_text(_row(used))
            (paths[0] / "cpuacct.usage_percpu_sys").write_text(_row(system))

    def pressure(self, pod: str, qos: str, total: int) -> None:
        directory = self.paths(pod, qos)[0]
        if not self.unified:
            directory = self.root / "unified" / directory.relative_to(self.trees[0])
            directory.mkdir(parents=True, exist_ok=True)
        lines = f"some avg10=0.00 avg60=0.00 avg300=0.00 total={total}\nfull avg10=0.00 total=0\n"
        (directory / "cpu.pressure").write_text(lines)

    def remove(self, pod: str, qos: str = "") -> None:
        for path in self.paths(pod, qos):
            shutil.rmtree(path)


def _row(values: Iterable[int]) -> str:
    return " ".join(map(str, values)) + " \n"
