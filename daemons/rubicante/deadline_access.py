"""SCHED_DEADLINE of this node: asked for at the start, and again when the kernel refuses it."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor

from daemons.rubicante.kernel.deadline import DeadlineThreads
from daemons.rubicante.kernel.deadline_setup import ask_for_deadline, deadline_back_end, withdraw
from daemons.rubicante.kernel.parking import LinuxPark, Park
from daemons.rubicante.kernel.root_domain import DeadlineSupport, Partitions
from daemons.rubicante.kernel.sched_attr import Attributes
from daemons.rubicante.kernel.system import System
from daemons.rubicante.placement import Kernel
from daemons.rubicante.places import find_places
from daemons.rubicante.settings import Settings
from k40s.cpu.model import ANY_CORE, DeadlineOffer, Domain, Mechanism, Reservation
from k40s.units import Nanoseconds

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
"""At least between two looks, however often the kernel refuses."""
RETURN_SECONDS = 60.0
"""Between two looks whether what was offered at first is there again."""
PARTS = 1024
"""An offer without what others hold is a multiple of 1/PARTS: exact sums are endless to read."""
_MOVED = "the root domains were cut anew, and reservations are held in the former ones"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineAccess:
    """The way to SCHED_DEADLINE; ``park`` asks the kernel, None with threads of this process."""

    attributes: Attributes
    park: Park | None = None


class DeadlineMechanism:
    """What is offered, and the back end in ``kernel`` that keeps it.

    ``stop`` ends waiting for the kernel, ``clock`` is monotonic, in seconds. All calls but
    ``is_due`` are made under the book's lock once there are other threads.
    """

    def __init__(
        self,
        settings: Settings,
        access: DeadlineAccess,
        *,
        system: System,
        tick: Nanoseconds,
        stop: threading.Event,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._access = access
        self._system = system
        self._tick = tick
        self._stop = stop
        self._clock = clock
        self._first: DeadlineOffer | None = None
        self._present: DeadlineOffer | None = None
        self._domain: Domain | None = None
        self._doubted = threading.Event()
        self._due = self._return_due = 0.0

    def ask(self, held: Sequence[Reservation]) -> tuple[DeadlineSupport, Partitions | None]:
        """What the kernel offers, ``held`` being the reservations of the book."""
        return ask_for_deadline(
            system=self._system,
            attributes=self._access.attributes,
            places=find_places(self._settings, self._system),
            prefix=self._settings.group_prefix,
            cores=frozenset(self._settings.cpus),
            tick=self._tick,
            held=_by_core(held),
            load_balance_off=self._settings.load_balance_off,
            park=self._access.park,
        )

    def withdraw(self) -> None:
        """Put back what an earlier process changed; SCHED_DEADLINE is not to be used."""
        cause = withdraw(
            system=self._system,
            places=find_places(self._settings, self._system),
            prefix=self._settings.group_prefix,
            park=self._access.park or LinuxPark(self._access.attributes),
        )
        if cause:
            log.warning("SCHED_DEADLINE not withdrawn", extra={"cause": cause})

    def start(self, kernel: Kernel, offer: DeadlineOffer, partitions: Partitions | None) -> None:
        """Keep what was offered from here on."""
        self._first = self._first or offer
        self._present, self._domain = offer, offer.domain
        kernel.back_ends[Mechanism.DEADLINE] = deadline_back_end(
            offer,
            partitions,
            system=self._system,
            attributes=self._access.attributes,
            places=find_places(self._settings, self._system),
            prefix=self._settings.group_prefix,
            threads=kernel.threads,
            homes=kernel.homes,
            tree=kernel.tree,
            cores=frozenset(self._settings.cpus),
            park=self._access.park,
            doubt=self._doubted.set,
            wait=self._stop.wait,
        )

    def is_due(self) -> bool:
        """Whether the kernel has refused what was offered, or may offer again what it did."""
        now = self._clock()
        if self._first is None or now < self._due:
            return False
        return self._doubted.is_set() or (now >= self._return_due and self._lacks(self._first))

    def look(self, kernel: Kernel, held: Sequence[Reservation]) -> DeadlineSupport:
        """Ask again, and keep what is offered by then.

        Domains of another kind are used only when no reservation is held in the former ones;
        until then nothing is offered, and what is held stays as it is.
        """
        self._doubted.clear()
        now = self._clock()
        self._due, self._return_due = now + LOOK_SECONDS, now + RETURN_SECONDS
        self.close(kernel)  # its waiting threads stand in the domains
        support, partitions = self.ask(held)
        holds = any(r.mechanism is Mechanism.DEADLINE for r in held)
        if holds and support.offer is not None and support.offer.domain is not self._domain:
            support = replace(support, offer=None, problems=(*support.problems, _MOVED))
        if support.offer is not None:
            self.start(kernel, support.offer, partitions)
            support = replace(support, offer=self._what_is_left(kernel, support.offer, held))
        elif not holds:
            kernel.back_ends.pop(Mechanism.DEADLINE, None)
        self._present = support.offer
        log.warning(
            "asked the kernel again what it offers for SCHED_DEADLINE",
            extra={"offer": str(support.offer), "problems": support.problems},
        )
        return support

    def close(self, kernel: Kernel) -> None:
        """End threads of ours; what is enforced stays enforced."""
        back_end = kernel.back_ends.get(Mechanism.DEADLINE)
        if isinstance(back_end, DeadlineThreads):
            back_end.close()

    def _lacks(self, first: DeadlineOffer) -> bool:
        present = self._present
        return (
            present is None
            or present.domain is not first.domain
            or present.capacity < first.capacity
        )

    def _what_is_left(
        self, kernel: Kernel, offer: DeadlineOffer, held: Sequence[Reservation]
    ) -> DeadlineOffer | None:
        """The offer without what others hold, also where no file of the scheduler tells of them.

        What is held and has no thread yet is counted as free as well, for at most the offer.
        """
        back_end = kernel.back_ends[Mechanism.DEADLINE]
        if offer.domain is Domain.EXCLUSIVE or not isinstance(back_end, DeadlineThreads):
            return offer
        ours, capacity = _by_core(held), offer.capacity
        shared = offer.domain is Domain.SHARED
        for core in (ANY_CORE,) if shared else self._settings.cpus:
            here = ours.get(core, Fraction(0))
            wanted = offer.capacity * offer.cpus - here
            granted = back_end.grants(core, wanted)
            if granted < wanted:
                left = (granted + here) / offer.cpus
                capacity = min(capacity, Fraction(floor(left * PARTS), PARTS))
        return replace(offer, capacity=capacity) if capacity > 0 else None


def _by_core(held: Sequence[Reservation]) -> dict[int, Fraction]:
    """ΣQ/P of SCHED_DEADLINE by core."""
    found: dict[int, Fraction] = {}
    for reservation in held:
        if reservation.mechanism is Mechanism.DEADLINE:
            before = found.get(reservation.core, Fraction(0))
            found[reservation.core] = before + reservation.server.bandwidth
    return found
