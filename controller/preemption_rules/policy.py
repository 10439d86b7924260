"""Limits of preemption: how soon, how often, and for how long room is claimed."""

from dataclasses import dataclass, fields

from k40s.annotations.preemption_history import KEPT, MAX_PREEMPTIONS
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds, format_duration

MOST_PER_HOUR = MAX_PREEMPTIONS
LONGEST_CLAIM = KEPT
"""Whatever grace period a victim's author has chosen; the extender holds room no longer either."""
SHORTEST_CLAIM = Nanoseconds(5 * NS_PER_S)
_MAY_BE_0 = ("hold_off", "interval", "settle")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreemptionPolicy:
    """All durations are above 0, but for ``hold_off``, ``interval`` and ``settle``."""

    hold_off: Nanoseconds = Nanoseconds(NS_PER_S)
    """A pod has to be unschedulable for so long: what is in flight comes first."""
    interval: Nanoseconds = Nanoseconds(NS_PER_S)
    """Least time between the beginnings of two preemptions, cluster-wide."""
    per_hour: int = 60
    """Most victims in any hour, cluster-wide."""
    namespace_per_hour: int = 15
    """Most victims in any hour of the pods of one namespace."""
    claim: Nanoseconds = Nanoseconds(30 * NS_PER_S)
    """Room is claimed for the victims' longest grace period and so long."""
    settle: Nanoseconds = Nanoseconds(300 * NS_PER_MS)
    """From the claim to the first eviction: every extender's watch has shown the claim by then."""
    retry: Nanoseconds = Nanoseconds(15 * NS_PER_S)
    """A pod that may not preempt is tried again after so long."""
    rest: Nanoseconds = Nanoseconds(600 * NS_PER_S)
    """One that did not get its place although its victims went is not tried again for so long."""

    @property
    def kept_per_hour(self) -> int:
        """Victims of ``per_hour`` that are for namespaces which have had none in that hour."""
        return self.per_hour // 4

    def __post_init__(self) -> None:
        for value in (self.per_hour, self.namespace_per_hour):
            if not 1 <= value <= MOST_PER_HOUR:
                raise ValueError(f"victims per hour: found {value}, expected 1 to {MOST_PER_HOUR}")
        for field in fields(self):
            value, name = getattr(self, field.name), field.name
            if name in ("per_hour", "namespace_per_hour"):
                continue
            least = 0 if name in _MAY_BE_0 else SHORTEST_CLAIM if name == "claim" else 1
            if not least <= value <= KEPT:
                found = format_duration(value) if value >= 0 else f"{value}ns"
                raise ValueError(
                    f"{name}: found {found}, expected {format_duration(least)} to 3600s"
                )
        if 2 * self.settle > self.claim:
            raise ValueError("settle: expected at most half of claim")
