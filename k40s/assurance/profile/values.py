"""A profile's values, and the built-in profile."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from k40s.assurance.detector import DEFAULT_RULES, Rule
from k40s.units import Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """How a rule did on labelled windows: precision and recall as to harm, 0 to 1."""

    precision: float
    recall: float
    windows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRule:
    """A rule, with a note and evidence for the reader."""

    rule: Rule
    note: str = ""
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a profile was made for, by whom and when (UTC, whole seconds).

    ``kernel`` is a release as of ``uname -r``.
    """

    kernel: str
    machine: str
    by: str
    at: datetime

    def __post_init__(self) -> None:
        if self.at.utcoffset() != timedelta(0) or self.at.microsecond:
            raise ValueError("a profile's time is in UTC, in whole seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The rules, one for each metric and victim; ``period`` is the sampling period they mean."""

    name: str
    made: Origin
    entries: tuple[ProfileRule, ...]
    period: Nanoseconds | None = None

    def __post_init__(self) -> None:
        if not self.entries:
            raise ValueError("a profile has at least one rule")
        if find_overlap(self.rules) is not None:
            raise ValueError("a profile has one rule for each metric and victim")

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules alone."""
        return tuple(entry.rule for entry in self.entries)


def find_overlap(rules: Iterable[Rule]) -> int | None:
    """The index of the first rule whose metric and victim an earlier one has; None without any."""
    seen: list[Rule] = []
    for index, rule in enumerate(rules):
        if any(rule.metric is other.metric and rule.harms & other.harms for other in seen):
            return index
        seen.append(rule)
    return None


BUILT_IN = Profile(
    name="built-in",
    made=Origin(
        kernel="6.18",
        machine="virtual machine of 2 CPUs, general-purpose kernel at 250 Hz",
        by="the k40s project",
        at=datetime(2026, 11, 28, tzinfo=UTC),
    ),
    entries=tuple(ProfileRule(rule=rule) for rule in DEFAULT_RULES),
)
"""In force where no profile is given; docs/assurance.md has the measurements."""
