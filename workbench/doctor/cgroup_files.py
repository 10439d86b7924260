"""Reads the mounted cgroup hierarchies: controllers, real-time budgets, cpusets, partitions."""

from collections.abc import Iterator
from fractions import Fraction

from workbench.doctor.facts import Cgroups, RtBudgets
from workbench.doctor.files import Reader
from workbench.doctor.texts import parse_mounts, parse_share

OWN_PREFIX = "k40s-rt"
"""Names of rubicante's budget groups begin so, unless K40S_GROUP_PREFIX says otherwise."""
_CONTROLLERS = frozenset({"cpu", "cpuset", "cpuacct", "memory", "pids", "freezer", "devices"})
_MOST_CGROUPS = 200


def read_cgroups(reader: Reader, mounts: str | None) -> Cgroups:
    """What is mounted, by the table of mounts."""
    v1: dict[str, str] = {}
    unified = None
    for kind, point, options in parse_mounts(mounts):
        if kind == "cgroup":
            v1 |= dict.fromkeys(options & _CONTROLLERS, point)
        elif kind == "cgroup2" and unified is None:
            unified = point
    controllers = None if unified is None else reader.text(f"{unified}/cgroup.controllers")
    return Cgroups(
        v1=frozenset(v1),
        v2=None if unified is None else frozenset((controllers or "").split()),
        rt=None if "cpu" not in v1 else _rt_budgets(reader, v1["cpu"]),
        balanced=None if "cpuset" not in v1 else _balanced(reader, v1["cpuset"]),
        partitions={} if unified is None else _partitions(reader, unified),
        exclusive=None if unified is None else _can_claim(reader, unified),
    )


def _rt_budgets(reader: Reader, root: str) -> RtBudgets | None:
    """None where the hierarchy has no such budgets."""
    limit = _share(reader, root)
    if limit is None:
        return None
    foreign: dict[str, Fraction] = {}
    own = Fraction(0)
    for name in reader.directories(root):
        held = _share(reader, f"{root}/{name}")
        if held is None or held == 0:
            continue
        if name.startswith(OWN_PREFIX):
            own += abs(held)
        else:
            foreign[name] = abs(held)
    return RtBudgets(limit=Fraction(1) if limit < 0 else limit, foreign=foreign, own=own)


def _share(reader: Reader, cgroup: str) -> Fraction | None:
    return parse_share(
        reader.text(f"{cgroup}/cpu.rt_runtime_us"), reader.text(f"{cgroup}/cpu.rt_period_us")
    )


def _balanced(reader: Reader, root: str) -> tuple[str, ...]:
    return tuple(
        name
        for name, path in _walk(reader, root)
        if reader.text(f"{path}/cpuset.sched_load_balance") == "1"
    )


def _partitions(reader: Reader, root: str) -> dict[str, str]:
    found = {}
    for name, path in _walk(reader, root):
        state = reader.text(f"{path}/cpuset.cpus.partition")
        if state and state != "member":
            found[name] = state
    return found


def _can_claim(reader: Reader, root: str) -> bool | None:
    """Whether a cgroup below the root that has cpusets has ``cpuset.cpus.exclusive`` too."""
    for name in reader.directories(root):
        if reader.text(f"{root}/{name}/cpuset.cpus.partition") is not None:
            return reader.text(f"{root}/{name}/cpuset.cpus.exclusive") is not None
    return None


def _walk(reader: Reader, root: str) -> Iterator[tuple[str, str]]:
    """The root and the cgroups below it, breadth first, up to a number that bounds the time."""
    waiting = [("/", root)]
    for _ in range(_MOST_CGROUPS):
        if not waiting:
            return
        name, path = waiting.pop(0)
        yield name, path
        waiting += [
            (f"{name.rstrip('/')}/{child}", f"{path}/{child}") for child in reader.directories(path)
        ]
