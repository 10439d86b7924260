"""When and where the lateness of budgets and wake-ups is measured, so that nothing is disturbed.

The probes need CPUs that are a whole root domain, and take up to a tenth of one of them for some
seconds. They run where no real-time pod can be, nor another program's DEADLINE thread: on the CPUs
besides those of reservations, else on the whole domain or a single core as long as nothing is
reserved there. They end before the next sample when that changes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from daemons.rubicante.kernel.probes.hog import Load
from daemons.rubicante.mechanisms.timer.overrun_probe import GoOn
from k40s.cpu.model import ANY_CORE, Reservation
from k40s.units import NS_PER_MS, Nanoseconds

_LEAST = 4
"""With fewer valid samples there is no measurement."""
_WITNESSES = 2
"""What so many samples reach counts. One alone may be a hypervisor's, whose stolen time the kernel
shows only in steps of 10 ms; what the kernel does itself is seen again."""

_NOTHING = "too few samples, of a machine that is busy, was needed, or stands still by itself"
STANDSTILL = Nanoseconds(NS_PER_MS)
"""A wake-up that costs more beside user mode is the machine's doing, say an emulated one's."""

HeldNow = Callable[[], Sequence[Reservation]]
"""The reservations of the book."""
Occupied = Callable[[AbstractSet[int]], bool]
"""Whether other DEADLINE threads, such as another rubicante's, are in the domain of these CPUs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What was measured on one root domain in ns, by load, in the order in which it was taken.

    ``overruns`` are those of budgets, ``wake_ups`` costs of wake-ups, by round; loads may lack.
    """

    overruns: Mapping[Load, Sequence[Nanoseconds]] = field(default_factory=dict)
    wake_ups: Sequence[Mapping[Load, Sequence[Nanoseconds]]] = ()


class Measure(Protocol):
    """Measures on a root domain."""

    def __call__(self, cores: AbstractSet[int], go_on: GoOn) -> Samples:
        """The samples. Raises ``OSError``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What counts of one measurement in ns; without anything, ``cause`` says why.

    ``user`` and ``calls`` are overruns of budgets by load. ``by_calls`` is what others' system
    calls add to the cost of a wake-up, beyond what it costs beside user mode.
    """

    user: Nanoseconds | None = None
    calls: Nanoseconds | None = None
    by_calls: Nanoseconds | None = None
    cause: str = ""

    @property
    def largest(self) -> Nanoseconds | None:
        """The overrun under any load; None without a measurement."""
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
    stopped: Callable[[], bool],
) -> Measurement:
    """Measure where that is possible. ``own`` are the CPUs that this process may use.

    ``wanted`` are the cores of reservations (K40S_CPUS). Nothing begins once it is ``stopped``.
    """

    def may_use(cores: AbstractSet[int]) -> bool:
        return not stopped() and not any(one.core in {ANY_CORE, *cores} for one in held())

    cause = "reservations are held on all CPUs on which it could be"
    for cores in _candidates(online, own, wanted):
        if not may_use(cores):
            continue
        if occupied(cores):
            cause = f"other DEADLINE threads run on CPUs {sorted(cores)}"
            continue
        try:
            found = measure(cores, partial(may_use, cores))
        except OSError as error:
            cause = f"on CPUs {sorted(cores)}: {error}"
            continue
        measurement = _judge(found)
        if measurement != Measurement():
            return measurement
        cause = f"on CPUs {sorted(cores)}: {_NOTHING}"
    return Measurement(cause=cause)


def _judge(found: Samples) -> Measurement:
    return Measurement(
        user=_witnessed(found.overruns.get(Load.USER, ())),
        calls=_witnessed(found.overruns.get(Load.CALLS, ())),
        by_calls=_added(found.wake_ups),
    )


def _added(rounds: Sequence[Mapping[Load, Sequence[Nanoseconds]]]) -> Nanoseconds | None:
    """Of each load the round that cost least: a machine stands still now and then, calls recur.

    None where the machine always stands still by itself, which hides what calls add.
    """
    user, calls = (
        min(filter(None, (_witnessed(costs.get(load, ())) for costs in rounds)), default=None)
        for load in (Load.USER, Load.CALLS)
    )
    if user is None or calls is None or user > STANDSTILL:
        return None
    return Nanoseconds(max(0, calls - user))


def _witnessed(samples: Sequence[Nanoseconds]) -> Nanoseconds | None:
    """The largest that enough samples reach; None with too few of them."""
    return sorted(samples)[-_WITNESSES] if len(samples) >= _LEAST else None


def _candidates(
    online: AbstractSet[int], own: AbstractSet[int], wanted: AbstractSet[int]
) -> Iterator[frozenset[int]]:
    """Sets of CPUs that may be a root domain, those of no reservation first; each once."""
    singles = [frozenset({core}) for core in sorted(wanted)]
    sets = [frozenset(online - wanted), frozenset(own), frozenset(online), *singles]
    yield from dict.fromkeys(one for one in sets if one)
