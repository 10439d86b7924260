"""What several measurements of lateness say together. Pure.

A machine that stands still for a moment, as its hypervisor may let it without saying so, looks like
a late budget. What the kernel does itself is seen again. So a growth counts when a second
measurement, soon after, confirms it, and only as far as it does. The first measurement of all
counts at once, for pods are admitted on it, and until it is confirmed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from daemons.rubicante.mechanisms.timer.measurement import Measurement
from k40s.units import Nanoseconds

UNTRIED = Measurement(cause="it has not been tried yet")
Choose = Callable[[Iterable[Nanoseconds]], Nanoseconds]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """``counted`` is what counts; ``doubted`` waits for its confirmation.

    ``confirmed`` is what two measurements have reached; no later one makes it smaller.
    """

    counted: Measurement = UNTRIED
    doubted: Measurement | None = None
    confirmed: Measurement | None = None

    def after(self, found: Measurement) -> "Findings":
        """With one more measurement; a failure hides no earlier one."""
        if found.cause:
            return Findings(counted=found) if self.counted.cause else self
        if self.counted.cause:
            return Findings(counted=found, doubted=found)
        if self.doubted is None:
            grows = _each(max, self.counted, found) != self.counted
            return Findings(
                counted=self.counted, doubted=found if grows else None, confirmed=self.confirmed
            )
        both = _each(min, self.doubted, found)
        confirmed = both if self.confirmed is None else _each(max, self.confirmed, both)
        return Findings(counted=confirmed, confirmed=confirmed)


def _each(choose: Choose, one: Measurement, other: Measurement) -> Measurement:
    return Measurement(
        user=_of(choose, one.user, other.user),
        calls=_of(choose, one.calls, other.calls),
        by_calls=_of(choose, one.by_calls, other.by_calls),
    )


def _of(choose: Choose, *both: Nanoseconds | None) -> Nanoseconds | None:
    """Of those that were measured."""
    known = [late for late in both if late is not None]
    return choose(known) if known else None
