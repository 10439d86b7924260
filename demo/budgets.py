"""What the kernel holds real-time threads to: budget groups, and SCHED_DEADLINE threads."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from daemons.rubicante.kernel.sched_attr import SCHED_DEADLINE, Attributes
from k40s.cpu.model import Mechanism
from k40s.units import NS_PER_US


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetGroup:
    """A budget as the kernel shows it, and the threads that have it; times in microseconds."""

    name: str
    budget: int
    period: int
    threads: tuple[int, ...]
    mechanism: Mechanism = Mechanism.RT_CGROUP


def read_groups(cpu: Path, prefix: str) -> tuple[BudgetGroup, ...]:
    """The budget groups in the v1 cpu hierarchy whose names begin so."""
    return tuple(
        BudgetGroup(
            name=path.name,
            budget=int((path / "cpu.rt_runtime_us").read_text()),
            period=int((path / "cpu.rt_period_us").read_text()),
            threads=tuple(int(line) for line in (path / "tasks").read_text().split()),
        )
        for path in sorted(cpu.glob(f"{prefix}*"))
    )


def read_deadlines(pods: Path, attributes: Attributes) -> tuple[BudgetGroup, ...]:
    """A budget for each SCHED_DEADLINE thread in the cgroups of pods, which a node's kubepods are.

    Threads and cgroups that vanish meanwhile are left out.
    """
    found = []
    for tid in sorted(_threads(pods)):
        with suppress(OSError):
            attr = attributes.get(tid)
            if attr.policy == SCHED_DEADLINE:
                found.append(
                    BudgetGroup(
                        name=f"thread-{tid}",
                        budget=attr.runtime // NS_PER_US,
                        period=attr.period // NS_PER_US,
                        threads=(tid,),
                        mechanism=Mechanism.DEADLINE,
                    )
                )
    return tuple(found)


def read_quota(cgroup: Path) -> float:
    """The CPU quota of a cgroup of either version, in CPUs; 0 where it has none."""
    with suppress(FileNotFoundError):
        quota, period = (cgroup / "cpu.max").read_text().split()
        return 0.0 if quota == "max" else int(quota) / int(period)
    quota = (cgroup / "cpu.cfs_quota_us").read_text()
    return max(0, int(quota)) / int((cgroup / "cpu.cfs_period_us").read_text())


def _threads(pods: Path) -> Iterator[int]:
    for directory, _, files in os.walk(pods):
        name = "cgroup.threads" if "cgroup.threads" in files else "tasks"
        with suppress(OSError):
            yield from map(int, (Path(directory) / name).read_text().split())
