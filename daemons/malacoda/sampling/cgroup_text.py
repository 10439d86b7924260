"""Parses files of cgroups. Any text gives a value or ``ValueError``."""

from collections.abc import Collection, Container, Sequence

from k40s.units import NS_PER_US, parse_cpu_list

_CPU_TIMES = 6
"""Names and values at the beginning of cpu.stat: usage_usec, user_usec, system_usec."""


def parse_cpu_columns(text: bytes, cpus: Collection[int]) -> tuple[int, ...]:
    """Read cpuacct.usage_all: where in the files by CPU the columns of some CPUs are.

    Those files list possible CPUs without their numbers, of which only this one tells.
    """
    numbers = [int(line.split()[0]) for line in text.splitlines()[1:] if line.strip()]
    columns = tuple(column for column, number in enumerate(numbers) if number in cpus)
    if not columns:
        raise ValueError("cpuacct lacks the node's CPUs")
    return columns


def parse_usage_by_cpu(text: bytes, columns: Sequence[int]) -> int:
    """Read cpuacct.usage_percpu or usage_percpu_sys: nanoseconds on the CPUs of ``columns``."""
    fields = text.split()
    total = 0
    try:
        for column in columns:
            used = int(fields[column])
            if used < 0:
                raise ValueError("cpuacct shows negative CPU time")
            total += used
    except IndexError:
        raise ValueError("cpuacct has fewer columns than CPUs") from None
    return total


def parse_cpu_stat(text: bytes) -> tuple[int, int]:
    """Read cpu.stat of cgroup v2: CPU time and system time on all CPUs, in nanoseconds."""
    first = text.split(None, _CPU_TIMES)
    found = dict(zip(first[:_CPU_TIMES:2], first[1:_CPU_TIMES:2], strict=False))
    try:
        used, system = int(found[b"usage_usec"]), int(found[b"system_usec"])
    except KeyError as error:
        raise ValueError(f"cpu.stat lacks {error}") from None
    if used < 0 or system < 0:
        raise ValueError("cpu.stat shows negative CPU time")
    return used * NS_PER_US, system * NS_PER_US


def parse_count(text: bytes) -> int:
    """Read pids.current."""
    count = int(text)
    if count < 0:
        raise ValueError("a count is negative")
    return count


def parse_cpuset(text: bytes) -> frozenset[int]:
    """Read cpuset.cpus.effective."""
    return frozenset(parse_cpu_list(text.decode("ascii").strip()))


def outermost_cgroup(text: bytes, names: Container[str]) -> str | None:
    """Read /proc/PID/cgroup: the outermost of the cgroups above it that has one of these names."""
    for line in text.decode(errors="replace").split("\n"):
        for name in line.split(":", 2)[-1].split("/"):
            if name in names:
                return name
    return None
