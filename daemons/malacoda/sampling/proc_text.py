"""Parses files of /proc. Any text gives a value or ``ValueError``."""

from collections.abc import Collection

from k40s.assurance.counters import CpuTimes, StatCounters
from k40s.assurance.quiet import Spent

_NO_TIMES = CpuTimes(user=0, system=0, idle=0, iowait=0, irq=0, steal=0)
_MIN_COLUMNS = 8


def parse_stat(text: bytes, cpus: Collection[int]) -> StatCounters:
    """Read /proc/stat."""
    own: list[list[int]] = []
    others: list[list[int]] = []
    counts: dict[bytes, int] = {}
    for line in text.splitlines():
        name, _, rest = line.partition(b" ")
        if name in _COUNTS:
            counts[name] = int(rest)
        elif name.startswith(b"cpu") and name != b"cpu":
            (own if int(name[3:]) in cpus else others).append(_columns_of_cpu(rest))
    if not own or len(counts) != len(_COUNTS):
        raise ValueError("stat lacks the node's CPUs or a counter")
    return StatCounters(
        own=_cpu_times(own),
        own_cpus=len(own),
        others=_cpu_times(others) if others else _NO_TIMES,
        other_cpus=len(others),
        contexts=counts[b"ctxt"],
        forks=counts[b"processes"],
        running=counts[b"procs_running"],
    )


def parse_spent(text: bytes, labels: Collection[bytes]) -> Spent:
    """A glance at /proc/stat: the lines of the node's CPUs alone, by ``label_of`` each.

    Those that are offline have none. Reads as little as it can: it is called ten times a second,
    with cold caches.
    """
    user = system = idle = 0
    for label in labels:
        if (found := text.find(label)) < 0:
            continue
        begin = found + len(label)
        row = text[begin : text.index(b"\n", begin)].split()
        own, nice, kernel, unused, iowait, irq, softirq = map(int, row[:7])
        user += own + nice
        system += kernel + irq + softirq
        idle += unused + iowait
    if not idle + user + system:
        raise ValueError("stat lacks the node's CPUs")
    return Spent(user, system, idle)


def label_of(cpu: int) -> bytes:
    """What is before a CPU's columns in /proc/stat, whose first line is the sum of all."""
    return b"\ncpu%d " % cpu


def parse_softirqs(text: bytes, cpus: Collection[int]) -> dict[str, int]:
    """Read /proc/softirqs: how often each has run on the node's CPUs."""
    lines = text.splitlines()
    columns = _columns(lines, cpus)
    return {name.decode(): _total(counts, columns) for name, counts in map(_row, lines[1:])}


def parse_interrupts(text: bytes, cpus: Collection[int]) -> dict[str, int]:
    """Read /proc/interrupts: the architecture's rows by x86's names, all devices' as "device".

    arm, arm64 and riscv64 number the interrupts between CPUs (IPI0, IPI1…), each in its own order,
    and show the local timer among the devices: there the description tells.
    """
    lines = text.splitlines()
    columns = _columns(lines, cpus)
    width = len(lines[0].split())
    rows = {_DEVICE: 0}
    for line in lines[1:]:
        label, _, rest = line.partition(b":")
        name = label.strip()
        if not (name.isdigit() or name in _ARCHITECTURE or name.startswith(b"IPI")):
            continue
        counts = rest.split()
        kind = _kind(name, counts[width:])
        if kind is not None:
            rows[kind] = rows.get(kind, 0) + _total(counts, columns)
    return rows


def _kind(name: bytes, description: list[bytes]) -> str | None:
    if name in _ARCHITECTURE:
        return name.decode()
    if name.isdigit():
        return "LOC" if description and description[-1] in _LOCAL_TIMERS else _DEVICE
    if name.startswith(b"IPI"):
        return _BETWEEN_CPUS.get(b" ".join(description))
    return None


def parse_loadavg(text: bytes) -> float:
    """Read /proc/loadavg: the average of one minute."""
    return float(text.split(maxsplit=1)[0]) if text.strip() else _refuse_empty("loadavg")


def parse_uptime(text: bytes) -> float:
    """Read /proc/uptime: seconds since boot."""
    return float(text.split(maxsplit=1)[0]) if text.strip() else _refuse_empty("uptime")


def parse_pressure(text: bytes) -> int:
    """Read a pressure file: microseconds in which some task waited."""
    for line in text.splitlines():
        if line.startswith(b"some "):
            _, found, total = line.rpartition(b"total=")
            if found:
                return int(total)
    raise ValueError("pressure lacks its line 'some'")


def _columns_of_cpu(rest: bytes) -> list[int]:
    columns = rest.split()
    if len(columns) < _MIN_COLUMNS:
        raise ValueError("stat has a CPU line with fewer than 8 columns")
    return [int(column) for column in columns[:_MIN_COLUMNS]]


def _cpu_times(cpus: list[list[int]]) -> CpuTimes:
    """The sum over some CPUs, one at least."""
    rows = cpus[0] if len(cpus) == 1 else [sum(column) for column in zip(*cpus, strict=True)]
    user, nice, system, idle, iowait, irq, softirq, steal = rows
    return CpuTimes(
        user=user + nice, system=system, idle=idle, iowait=iowait, irq=irq + softirq, steal=steal
    )


def _columns(lines: list[bytes], cpus: Collection[int]) -> list[int]:
    header = lines[0].split() if lines else []
    columns = [column for column, name in enumerate(header) if int(name[3:]) in cpus]
    if not columns:
        raise ValueError("the header lacks the node's CPUs")
    return columns


def _row(line: bytes) -> tuple[bytes, list[bytes]]:
    name, _, rest = line.partition(b":")
    return name.strip(), rest.split()


def _total(counts: list[bytes], columns: list[int]) -> int:
    if len(counts) <= columns[-1]:
        raise ValueError("a row has fewer columns than the header")
    return sum(int(counts[column]) for column in columns)


def _refuse_empty(name: str) -> float:
    raise ValueError(f"{name} is empty")


_COUNTS = frozenset((b"ctxt", b"processes", b"procs_running"))
_ARCHITECTURE = frozenset((b"LOC", b"RES", b"CAL", b"TLB"))
_DEVICE = "device"
_LOCAL_TIMERS = frozenset((b"arch_timer", b"riscv-timer", b"twd"))
_BETWEEN_CPUS = {b"Rescheduling interrupts": "RES", b"Function call interrupts": "CAL"}
