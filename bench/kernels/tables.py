"""What distributions' kernels have, and what the doctor says that a node with them offers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from k40s.cpu.model import Domain, Mechanism
from k40s.units import NS_PER_S
from workbench.doctor.configuration import facts_of_configuration
from workbench.doctor.facts import Facts
from workbench.doctor.findings import Level
from workbench.doctor.judgement.deadlines import (
    REMOTE_PARTITIONS,
    deadline_capacity,
    deadline_domain,
)
from workbench.doctor.judgement.enforcement import overrun_with_timer, preemption_model, tick_of
from workbench.doctor.judgement.judge import judge
from workbench.table import as_share, as_time

RECORDS = Path("tests/fixtures/kernels")
UNVERIFIED = "not verified"
OPTIONS = (
    "distribution",
    "kernel",
    "HZ",
    "RT_GROUP_SCHED",
    "cgroup",
    "SCHED_HRTICK",
    "partitions of pods",
    "DEBUG_FS",
    "lockdown",
    "preemption",
)
OFFERS = (
    "distribution",
    "mechanisms",
    "DEADLINE, of each CPU",
    "DEADLINE threads share",
    "δ",
    "δ with HRTICK_DL",
)
SOURCES = ("distribution", "configuration", "cgroup version")
_DOMAINS = {
    Domain.EXCLUSIVE: "a core for one pod",
    Domain.PARTITIONED: "each core, with K40S_LOAD_BALANCE_OFF",
    Domain.SHARED: "all CPUs together",
}
_LOCKED = (
    ("LOCK_DOWN_KERNEL_FORCE_INTEGRITY", "always"),
    ("LOCK_DOWN_IN_EFI_SECURE_BOOT", "with Secure Boot"),
    ("SECURITY_LOCKDOWN_LSM", "on demand"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedKernel:
    """One distribution's kernel; ``facts`` is None where no configuration could be had.

    ``unverified`` are the headings of columns that its source does not tell.
    """

    name: str
    facts: Facts | None
    release: str
    cgroup_version: int | None
    source: str
    cgroups: str
    unverified: frozenset[str]


def read_kernels(records: Path = RECORDS) -> tuple[RecordedKernel, ...]:
    """The recorded kernels, in the order of their index."""
    index = yaml.safe_load((records / "index.yaml").read_text(encoding="utf-8"))
    return tuple(_kernel(entry, records) for entry in index)


def _kernel(entry: dict[str, Any], records: Path) -> RecordedKernel:
    version: int | None = entry.get("cgroup_version")
    release = str(entry.get("release", ""))
    facts = None
    if name := entry.get("configuration"):
        facts = facts_of_configuration(
            (records / f"{name}.config").read_text(encoding="utf-8"),
            source=f"{name}.config",
            release=release,
            cgroup_version=version,
        )
    return RecordedKernel(
        name=entry["name"],
        facts=facts,
        release=release,
        cgroup_version=version,
        source=entry.get("source", ""),
        cgroups=entry.get("cgroups", ""),
        unverified=frozenset(entry.get("unverified", ())),
    )


def tables(kernels: Sequence[RecordedKernel]) -> str:
    """Three Markdown tables: what the kernels have, what nodes offer, and the sources."""
    has = _table(OPTIONS, [_row(kernel, OPTIONS, _options(kernel)) for kernel in kernels])
    offers = _table(OFFERS, [_row(kernel, OFFERS, _offers(kernel)) for kernel in kernels])
    sources = _table(SOURCES, [(k.name, k.source, k.cgroups) for k in kernels])
    return f"{has}\n\n{offers}\n\n{sources}"


def _row(kernel: RecordedKernel, head: Sequence[str], cells: Sequence[str]) -> tuple[str, ...]:
    hidden = kernel.unverified
    pairs = zip(head[1:], cells, strict=True)
    return (kernel.name, *("" if name in hidden else cell for name, cell in pairs))


def _options(kernel: RecordedKernel) -> tuple[str, ...]:
    facts = kernel.facts
    version = "" if kernel.cgroup_version is None else f"v{kernel.cgroup_version}"
    if facts is None:
        return ("", "", "", version, "", "", "", "", "")
    known = facts.kernel
    tick = tick_of(facts)
    return (
        kernel.release,
        "" if tick is None else str(NS_PER_S // tick),
        _yes(known.is_set("RT_GROUP_SCHED")),
        version,
        _yes(known.has_high_resolution_tick),
        _yes((known.version or (0, 0)) >= REMOTE_PARTITIONS),
        _yes(known.is_set("DEBUG_FS")),
        next((text for option, text in _LOCKED if known.is_set(option)), "none"),
        _preemption(facts),
    )


def _preemption(facts: Facts) -> str:
    model = preemption_model(facts)
    is_dynamic = model != "rt" and facts.kernel.is_set("PREEMPT_DYNAMIC")
    return f"{model}, dynamic" if is_dynamic else model


def _offers(kernel: RecordedKernel) -> tuple[str, ...]:
    facts = kernel.facts
    if facts is None:
        return ("",) * (len(OFFERS) - 1)
    verdict = judge(facts)
    capacity, tick = deadline_capacity(facts), tick_of(facts)
    groups = verdict.level_of(Mechanism.RT_CGROUP.value)
    late = verdict.level_of("hrtick") is Level.UNKNOWN
    return (
        "" if groups is Level.UNKNOWN else "+".join(verdict.mechanisms) or "none",
        "" if capacity is None else as_share(capacity),
        "" if kernel.cgroup_version is None else _DOMAINS[deadline_domain(facts)],
        "" if tick is None or late else as_time(tick),
        _with_timer(facts),
    )


def _with_timer(facts: Facts) -> str:
    """δ with HRTICK_DL; "the tick" where no bound is known for the preemption model."""
    if not facts.kernel.has_high_resolution_tick:
        return "none"
    late = overrun_with_timer(facts)
    return "the tick" if late is None else as_time(late)


def _yes(is_set: bool | None) -> str:
    return {True: "yes", False: "no", None: ""}[is_set]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell or UNVERIFIED for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
