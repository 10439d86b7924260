"""Limits of migration: how soon, how often, and for how long a pod is left in peace."""

from dataclasses import dataclass, fields

from k40s.assurance.level import DEFAULT_THRESHOLDS, Thresholds
from k40s.units import NS_PER_S, Nanoseconds, format_duration

HOUR = Nanoseconds(3600 * NS_PER_S)
MOST_PER_HOUR = 60
LONGEST_REST = Nanoseconds(2 * HOUR)
"""The history of moves is one annotation: what limits need must fit there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationPolicy:
    """All durations are above 0, but for ``hold_off`` and ``interval``, which may be 0."""

    thresholds: Thresholds = DEFAULT_THRESHOLDS
    """The least levels of LOW and HI, as the extender has them."""
    hold_off: Nanoseconds = Nanoseconds(5 * NS_PER_S)
    """A level has to be too low for so long: the node's own response comes first."""
    interval: Nanoseconds = Nanoseconds(10 * NS_PER_S)
    """Least time between the beginnings of two moves, cluster-wide."""
    per_hour: int = 12
    """Most moves that begin in any hour, cluster-wide."""
    per_namespace: int = 6
    """Most moves of one namespace's pods that begin in any hour: the others keep their part."""
    owner_cooldown: Nanoseconds = Nanoseconds(60 * NS_PER_S)
    """Least time between the beginnings of two moves of one owner."""
    rest: Nanoseconds = Nanoseconds(1800 * NS_PER_S)
    """A replacement is not moved, and a node that was left is no destination, for so long."""
    pod_cooldown: Nanoseconds = Nanoseconds(600 * NS_PER_S)
    """A pod whose replacement never became ready is not tried again for so long."""
    surge_timeout: Nanoseconds = Nanoseconds(120 * NS_PER_S)
    """A replacement has to be ready within so long."""

    def __post_init__(self) -> None:
        for number in (self.per_hour, self.per_namespace):
            if not 1 <= number <= MOST_PER_HOUR:
                raise ValueError(f"moves per hour: found {number}, expected 1 to {MOST_PER_HOUR}")
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name in ("hold_off", "interval") else 1
            if isinstance(value, int) and not least <= value <= LONGEST_REST:
                found = format_duration(value) if value >= 0 else f"{value}ns"
                raise ValueError(f"{field.name}: found {found}, expected {least}ns to 7200s")
