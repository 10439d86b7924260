"""What follows from the facts: findings, and the verdict that they make together."""

from dataclasses import dataclass
from enum import StrEnum

from k40s.cpu.model import Mechanism
from workbench.doctor.facts import Facts, Gap


class Level(StrEnum):
    """How much of what k40s needs is there."""

    OK = "ok"
    """There, as it should be."""
    LIMITS = "limits"
    """There, with a price: the consequence says which."""
    MISSING = "missing"
    """Not there."""
    UNKNOWN = "unknown"
    """Could not be judged: what would have told was not readable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One subject: what was found, what follows from it, and the line that would change it.

    ``subject`` is a stable name. ``remedy`` is a command, a setting or "needs another kernel: …";
    empty where nothing is to be changed.
    """

    subject: str
    level: Level
    found: str
    consequence: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All findings of a machine, mechanisms first. ``title`` names the machine."""

    title: str
    findings: tuple[Finding, ...]
    gaps: tuple[Gap, ...] = ()

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """The mechanisms that rubicante could offer here, by the names it publishes."""
        names = {mechanism.value for mechanism in Mechanism}
        there = (Level.OK, Level.LIMITS)
        return tuple(f.subject for f in self.findings if f.subject in names and f.level in there)

    def level_of(self, subject: str) -> Level:
        """The level of one subject; UNKNOWN where there is no such finding."""
        return next((f.level for f in self.findings if f.subject == subject), Level.UNKNOWN)


ANY = "any"


def is_met(verdict: Verdict, need: str) -> bool | None:
    """Whether a mechanism, or any of them, is there; None where that could not be judged."""
    names = [m.value for m in Mechanism] if need == ANY else [need]
    levels = [verdict.level_of(name) for name in names]
    if any(level in (Level.OK, Level.LIMITS) for level in levels):
        return True
    return None if Level.UNKNOWN in levels else False


def describe(facts: Facts) -> str:
    """The machine in a few words."""
    cpus = len(facts.machine.online)
    release = facts.kernel.release
    kernel = f"kernel {release}" if release else "unknown kernel"
    return kernel + (f", {cpus} CPUs" if cpus else "")
