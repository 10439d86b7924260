"""When and where the lateness of budgets is measured, so that no reservation is disturbed.

The probe needs CPUs that are a whole root domain, and takes a millisecond of one of them, forty
times for each load. It runs where no real-time pod can be, nor another program's DEADLINE thread:
on the CPUs besides those of reservations, else on the whole domain or a single core as long as
nothing is reserved there. It ends before the next sample when that changes.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

from daemons.rubicante.kernel.hog import Load
from daemons.rubicante.mechanisms.timer.overrun_probe import GoOn, Overruns
from k40s.cpu.model import ANY_CORE, Reservation
from k40s.units import Nanoseconds

log = logging.getLogger(__name__)

HeldNow = Callable[[], Sequence[Reservation]]
"""The reservations of the book."""


Occupied = Callable[[AbstractSet[int]], bool]
"""Whether other DEADLINE threads, such as another rubicante's, are in the domain of these CPUs."""


class Measure(Protocol):
    """Measures on a root domain; implemented by ``OverrunProbe.measure``."""

    def __call__(self, cores: AbstractSet[int], go_on: GoOn) -> Overruns:
        """The overruns. Raises ``OSError``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The largest overruns of one measurement by load; without any, ``cause`` says why.

    ``by_calls`` is what system calls added to those in user mode: a coarse timer, or a machine that
    stands still at times, makes both late, and neither is a system call.
    """

    user: Nanoseconds | None = None
    calls: Nanoseconds | None = None
    by_calls: Nanoseconds | None = None
    cause: str = ""

    @property
    def largest(self) -> Nanoseconds | None:
        """Of both loads; None without a measurement."""
        found = [one for one in (self.user, self.calls) if one is not None]
        return max(found, default=None)


def measure_lateness(
    measure: Measure,
    *,
    online: AbstractSet[int],
    own: AbstractSet[int],
    wanted: AbstractSet[int],
    held: HeldNow,
    occupied: Occupied,
) -> Measurement:
    """Measure where that is possible. ``own`` are the CPUs that this process may use.

    ``wanted`` are the cores of reservations (K40S_CPUS).
    """
    cause = "reservations are held on all CPUs on which it could be"
    for cores in _candidates(online, own, wanted):
        if not _is_free(cores, held()):
            continue
        if occupied(cores):
            cause = f"other DEADLINE threads run on CPUs {sorted(cores)}"
            continue
        try:
            found = measure(cores, lambda at=cores: _is_free(at, held()))  # type: ignore[misc]  # bound now
        except OSError as error:
            cause = f"on CPUs {sorted(cores)}: {error}"
            continue
        if found.largest:
            return _largest(found)
        cause = f"on CPUs {sorted(cores)}: too few samples of a busy machine"
    return Measurement(cause=cause)


def _largest(found: Overruns) -> Measurement:
    user, calls = found.largest.get(Load.USER), found.largest.get(Load.CALLS)
    by_calls = None if calls is None else Nanoseconds(max(0, calls - (user or 0)))
    return Measurement(user=user, calls=calls, by_calls=by_calls)


def _candidates(
    online: AbstractSet[int], own: AbstractSet[int], wanted: AbstractSet[int]
) -> Iterator[frozenset[int]]:
    """Sets of CPUs that may be a root domain, those of no reservation first; each once."""
    singles = [frozenset({core}) for core in sorted(wanted)]
    sets = [frozenset(online - wanted), frozenset(own), frozenset(online), *singles]
    yield from dict.fromkeys(one for one in sets if one)


def _is_free(cores: AbstractSet[int], held: Sequence[Reservation]) -> bool:
    return not any(one.core == ANY_CORE or one.core in cores for one in held)
