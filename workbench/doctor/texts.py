"""The kernel's texts as values. What is no such text is None or nothing, never an error."""

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction

from k40s.units import parse_cpu_list
from workbench.doctor.facts import DomainFigures

_OPTION = re.compile(r'CONFIG_(\w+)=("[^"]*"|\S+)')
_UNSET = re.compile(r"# CONFIG_(\w+) is not set")
_UNIT = 1 << 20
"""The kernel's bandwidths are multiples of 2^-20."""
_CAPABILITIES = re.compile(r"^CapEff:\s*([0-9a-fA-F]+)$", re.MULTILINE)
_LIMIT = re.compile(r"^(Max [a-z ]+?) {2,}(\S+)", re.MULTILINE)
_STEAL_FIELD = 7


def parse_options(text: str) -> Mapping[str, str] | None:
    """Options of a kernel's configuration, without CONFIG_; None where it is no configuration."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if option := _OPTION.fullmatch(line.strip()):
            found[option[1]] = option[2].strip('"')
        elif unset := _UNSET.fullmatch(line.strip()):
            found[unset[1]] = "n"
    return found or None


def parse_share(runtime: str | None, period: str | None) -> Fraction | None:
    """Runtime over period, in microseconds; -1 without a limit."""
    try:
        share = Fraction(int(runtime or ""), int(period or ""))
    except (ValueError, ZeroDivisionError):
        return None
    return Fraction(-1) if share < 0 else share


def parse_cpus(text: str | None) -> frozenset[int]:
    """CPUs of a list such as "0-3,6"; none where it is something else."""
    try:
        return frozenset(parse_cpu_list((text or "").strip()))
    except ValueError:
        return frozenset()


def chosen(text: str | None) -> str:
    """The word in parentheses or brackets of a list of choices: "none voluntary (full)"."""
    found = re.search(r"[(\[](\w+)[)\]]", text or "")
    return found[1] if found else ""


def parse_domains(text: str | None) -> Mapping[int, DomainFigures]:
    """CPU → the SCHED_DEADLINE bandwidth of its root domain, from sched/debug."""
    found: dict[int, DomainFigures] = {}
    cpu = -1
    figures: dict[str, Fraction] = {}
    for line in (text or "").splitlines():
        name, _, value = (part.strip() for part in line.partition(":"))
        if match := re.fullmatch(r"dl_rq\[(\d+)\]", name):
            cpu, figures = int(match[1]), {}
        elif cpu >= 0 and name.startswith(".dl_bw->") and value.isdecimal():
            figures[name] = Fraction(int(value), _UNIT)
            if {".dl_bw->bw", ".dl_bw->total_bw"} <= figures.keys():
                found[cpu] = DomainFigures(
                    limit=figures[".dl_bw->bw"], total=figures[".dl_bw->total_bw"]
                )
    return found


def parse_mounts(text: str | None) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Type, mount point and options of each line of a table of mounts."""
    for line in (text or "").splitlines():
        fields = line.split()
        if len(fields) >= 4:  # noqa: PLR2004  # source, point, type, options
            yield fields[2], fields[1].replace("\\040", " "), frozenset(fields[3].split(","))


def parse_capabilities(status: str | None) -> int | None:
    """The effective capabilities of a process as a mask, from its status."""
    found = _CAPABILITIES.search(status or "")
    return int(found[1], 16) if found else None


def parse_limits(text: str | None) -> Mapping[str, str]:
    """Soft limits of a process by their names in /proc/PID/limits."""
    return {match[1]: match[2] for match in _LIMIT.finditer(text or "")}


def parse_steal(stat: str | None) -> Fraction | None:
    """The share of all CPU time that a hypervisor took, from /proc/stat."""
    for line in (stat or "").splitlines():
        name, _, rest = line.partition(" ")
        figures = rest.split()
        if name == "cpu" and len(figures) > _STEAL_FIELD and all(map(str.isdecimal, figures)):
            times = [int(figure) for figure in figures[: _STEAL_FIELD + 1]]
            return Fraction(times[_STEAL_FIELD], sum(times)) if sum(times) else None
    return None


def parse_swap(text: str | None) -> tuple[str, ...] | None:
    """Devices and files in use for swapping; None where the table is not known."""
    lines = (text or "").splitlines()
    if not lines or not lines[0].startswith("Filename"):
        return None
    return tuple(line.split()[0] for line in lines[1:] if line.split())


def setting_of(text: str | None, key: str) -> str:
    """The value of one top-level key of kubelet's configuration (YAML or JSON); empty without."""
    found = re.search(rf'^\s*"?{key}"?\s*:\s*"?([\w-]+)"?\s*,?\s*$', text or "", re.MULTILINE)
    return found[1] if found else ""
