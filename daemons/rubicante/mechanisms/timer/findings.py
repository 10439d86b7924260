"""What several measurements of lateness say together. Pure.

A machine that stands still for a moment, as its hypervisor may let it without saying so, looks like
a late budget. What the kernel does itself is seen again. So a growth counts when a second
measurement, soon after, confirms it, and only as far as it does. The first measurement of each part
counts at once, for pods are admitted on it, and until it is confirmed.
"""

from dataclasses import dataclass, field

from daemons.rubicante.mechanisms.timer.measurement import Measurement
from k40s.units import Nanoseconds

UNTRIED = Measurement(cause="it has not been tried yet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One figure of the measurements. ``counted`` counts; ``doubted`` waits for its confirmation.

    ``confirmed`` is what two measurements have reached; no later one makes it smaller.
    """

    counted: Nanoseconds | None = None
    doubted: Nanoseconds | None = None
    confirmed: Nanoseconds | None = None

    def after(self, found: Nanoseconds | None) -> "Part":
        """With one more measurement; None is none."""
        if found is None:
            return self
        if self.counted is None:
            return Part(counted=found, doubted=found)
        confirmed = self.confirmed
        if self.doubted is not None:
            confirmed = max(confirmed or Nanoseconds(0), min(self.doubted, found))
        counted = self.counted if confirmed is None else confirmed
        grows = found > counted
        return Part(counted=counted, doubted=found if grows else None, confirmed=confirmed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All parts, and the ``cause`` of the last failure as long as there is nothing else."""

    user: Part = field(default_factory=Part)
    calls: Part = field(default_factory=Part)
    by_calls: Part = field(default_factory=Part)
    cause: str = UNTRIED.cause

    def after(self, found: Measurement) -> "Findings":
        """With one more measurement; a failure hides no earlier one."""
        return Findings(
            user=self.user.after(found.user),
            calls=self.calls.after(found.calls),
            by_calls=self.by_calls.after(found.by_calls),
            cause=found.cause,
        )

    @property
    def counted(self) -> Measurement:
        """What counts."""
        found = Measurement(
            user=self.user.counted, calls=self.calls.counted, by_calls=self.by_calls.counted
        )
        return Measurement(cause=self.cause) if found == Measurement() else found

    @property
    def is_doubted(self) -> bool:
        """Whether something waits for its confirmation."""
        return any(one.doubted is not None for one in (self.user, self.calls, self.by_calls))
