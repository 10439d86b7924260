"""The node's SCHED_DEADLINE offer: found at the start, and again when the kernel refuses it."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor

from daemons.rubicante.kernel.preemption import read_preemption
from daemons.rubicante.kernel.probes.thread import LinuxProbes, StartProbe
from daemons.rubicante.kernel.sched_attr import Attributes
from daemons.rubicante.kernel.system import System
from daemons.rubicante.kernel.usage import read_options, stolen_from
from daemons.rubicante.mechanisms.back_ends import BackEnds
from daemons.rubicante.mechanisms.deadline.assembly import (
    ask_for_deadline,
    deadline_back_end,
    withdraw,
)
from daemons.rubicante.mechanisms.deadline.back_end import DeadlineBackEnd
from daemons.rubicante.mechanisms.deadline.discovery import (
    DeadlineSupport,
    Partitions,
    has_deadline_threads,
)
from daemons.rubicante.mechanisms.paths import find_hrtick, find_kernel_paths
from daemons.rubicante.mechanisms.timer.budget_timer import BudgetTimer, TimerStatus
from daemons.rubicante.mechanisms.timer.measurement import HeldNow, Measurement, measure_lateness
from daemons.rubicante.mechanisms.timer.probes import ProbePrograms, Probes
from daemons.rubicante.settings import Settings
from k40s.cpu.model import ANY_CORE, DeadlineOffer, Domain, Mechanism, Reservation
from k40s.units import MonotonicClock, Nanoseconds

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
"""At least between two looks, however often the kernel refuses."""
RETURN_SECONDS = 60.0
"""Between two looks whether what was offered at first is there again."""
START_PATIENCE_SECONDS = 2.0
"""For which each probe doubts EBUSY at the start, which nothing interrupts. Later, under the book's
lock, none waits."""
PARTS = 1024
"""An offer minus foreign bandwidth is a multiple of 1/PARTS, which keeps its text short."""
_MOVED = "the root domains have changed, and reservations are held in the former ones"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineAccess:
    """Access to SCHED_DEADLINE; without ``start_probe``, threads of this process probe it.

    Without ``programs`` nothing of the kernel's lateness is measured.
    """

    attributes: Attributes
    start_probe: StartProbe | None = None
    programs: ProbePrograms | None = None


class DeadlineMechanism:
    """The offer, and the back end that keeps it.

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
        clock: MonotonicClock,
    ) -> None:
        self._settings = settings
        self._access = access
        self._system = system
        self._tick = tick
        self._stop = stop
        self._clock = clock
        options = read_options(settings.proc_path)
        self._timer = BudgetTimer(
            feature=find_hrtick(settings, system),
            read_model=lambda: read_preemption(
                system,
                proc=settings.proc_path,
                debug=settings.scheduler_debug_path,
                options=options,
            ),
            clock=clock,
        )
        self._probes = (
            None
            if access.programs is None
            else Probes(
                attributes=access.attributes,
                programs=access.programs,
                stolen=lambda cores: stolen_from(system, settings.proc_path, cores),
                wait=stop.wait,
                clock=clock,
                ends_budgets=self._timer.ends_budgets,
            )
        )
        self._support = DeadlineSupport(offer=None)
        """As last found, without the timer."""
        self._first: DeadlineOffer | None = None
        self._present: DeadlineOffer | None = None
        self._domain: Domain | None = None
        self._invalidated = threading.Event()
        self._due = self._return_due = 0.0

    @property
    def timer(self) -> TimerStatus:
        """The timer that ends budgets, as last looked at."""
        return self._timer.status

    def find(self, held: Sequence[Reservation]) -> tuple[DeadlineSupport, Partitions | None]:
        """The kernel's offer at the start of the process; ``held`` are the book's reservations."""
        self._support, partitions = self._probe(held, patience=START_PATIENCE_SECONDS)
        if self._support.offer is not None:
            self._timer.begin(in_use=_has_deadline(held))
            self.measure(lambda: held)
            self._timer.look()
        return self._timed(), partitions

    def measure(self, held: HeldNow) -> None:
        """Measure how late budgets end and threads wake, if that is due; takes some seconds then.

        May be called without the book's lock, which ``held`` may take.
        """
        if self._probes is None or not self._timer.is_measurement_due():
            return
        try:
            found = measure_lateness(
                self._probes.measure,
                online=self._system.online(),
                own=self._system.affinity(0),
                wanted=frozenset(self._settings.cpus),
                held=held,
                stopped=self._stop.is_set,
                occupied=lambda cores: has_deadline_threads(
                    self._system, self._settings.scheduler_debug_path, cores
                ),
            )
        except OSError as error:
            found = Measurement(cause=str(error))
        self._timer.note(found)

    def withdraw(self) -> None:
        """Restore what an earlier process changed; SCHED_DEADLINE is not to be used."""
        cause = withdraw(
            system=self._system,
            paths=find_kernel_paths(self._settings, self._system),
            prefix=self._settings.group_prefix,
            start_probe=self._access.start_probe or LinuxProbes(self._access.attributes),
        )
        if cause:
            log.warning("SCHED_DEADLINE not withdrawn", extra={"cause": cause})
        if cause := find_hrtick(self._settings, self._system).put_back():
            log.error("budget timer", extra={"cause": cause})

    def end(self, held: Sequence[Reservation]) -> None:
        """The process ends: restore the scheduler's feature where no reservation counts on it."""
        if cause := self._timer.end(in_use=_has_deadline(held)):
            log.error("budget timer", extra={"cause": cause})

    def start(
        self, back_ends: BackEnds, offer: DeadlineOffer, partitions: Partitions | None
    ) -> None:
        """Enforce by this offer from now on."""
        self._first = self._first or offer
        self._present, self._domain = offer, offer.domain
        back_ends.by_mechanism[Mechanism.DEADLINE] = deadline_back_end(
            offer,
            partitions,
            system=self._system,
            attributes=self._access.attributes,
            paths=find_kernel_paths(self._settings, self._system),
            prefix=self._settings.group_prefix,
            threads=back_ends.threads,
            origins=back_ends.origins,
            tree=back_ends.tree,
            cores=frozenset(self._settings.cpus),
            start_probe=self._access.start_probe,
            invalidate=self._invalidated.set,
            wait=self._stop.wait,
        )

    def is_due(self) -> bool:
        """Whether the timer has changed, or the offer has to be looked at again."""
        return self._first is not None and (self._timer.has_changed() or self._is_invalid())

    def look(self, back_ends: BackEnds, held: Sequence[Reservation]) -> DeadlineSupport:
        """Look at the timer, and where that is due, probe the offer again and use it from now on.

        Domains of another kind are used only when no reservation is held in the former ones; until
        then nothing is offered, and what is held stays as it is.
        """
        if self._is_invalid():
            self._support = self._look_again(back_ends, held)
        if self._support.offer is not None:
            self._timer.begin(in_use=_has_deadline(held))
        self._timer.look()
        support = self._timed()
        log.warning(
            "SCHED_DEADLINE offer found again",
            extra={"offer": str(support.offer), "problems": support.problems},
        )
        return support

    def _look_again(self, back_ends: BackEnds, held: Sequence[Reservation]) -> DeadlineSupport:
        self._invalidated.clear()
        now = self._clock()
        self._due, self._return_due = now + LOOK_SECONDS, now + RETURN_SECONDS
        self.close(back_ends)  # its probe threads are in the domains
        support, partitions = self._probe(held, patience=0)
        holds = _has_deadline(held)
        if holds and support.offer is not None and support.offer.domain is not self._domain:
            support = replace(support, offer=None, problems=(*support.problems, _MOVED))
        if support.offer is not None:
            self.start(back_ends, support.offer, partitions)
            support = replace(support, offer=self._without_foreign(back_ends, support.offer, held))
        elif not holds:
            back_ends.by_mechanism.pop(Mechanism.DEADLINE, None)
        self._present = support.offer
        return support

    def _is_invalid(self) -> bool:
        """Whether the kernel has refused what was offered, or may offer again what it did."""
        now = self._clock()
        if self._first is None or now < self._due:
            return False
        return self._invalidated.is_set() or (now >= self._return_due and self._lacks(self._first))

    def _probe(
        self, held: Sequence[Reservation], *, patience: float
    ) -> tuple[DeadlineSupport, Partitions | None]:
        return ask_for_deadline(
            system=self._system,
            attributes=self._access.attributes,
            paths=find_kernel_paths(self._settings, self._system),
            prefix=self._settings.group_prefix,
            cores=frozenset(self._settings.cpus),
            tick=self._tick,
            held=_by_core(held),
            load_balance_off=self._settings.load_balance_off,
            start_probe=self._access.start_probe,
            wait=self._stop.wait,
            patience=patience,
        )

    def _timed(self) -> DeadlineSupport:
        """The offer with the δ that the timer gives it."""
        offer, timer = self._support.offer, self._timer.status
        if offer is None:
            return self._support
        return replace(
            self._support,
            offer=replace(offer, tick=timer.overrun(offer.tick), delay=timer.delay),
            warnings=(*self._support.warnings, *timer.warnings(offer.tick)),
        )

    def close(self, back_ends: BackEnds) -> None:
        """End the probe threads; what is enforced stays enforced."""
        back_end = back_ends.by_mechanism.get(Mechanism.DEADLINE)
        if isinstance(back_end, DeadlineBackEnd):
            back_end.close()

    def _lacks(self, first: DeadlineOffer) -> bool:
        present = self._present
        return (
            present is None
            or present.domain is not first.domain
            or present.capacity < first.capacity
        )

    def _without_foreign(
        self, back_ends: BackEnds, offer: DeadlineOffer, held: Sequence[Reservation]
    ) -> DeadlineOffer | None:
        """The offer minus foreign bandwidth, also where no file of the scheduler shows that.

        Reservations without a thread yet count as free as well, up to the offer.
        """
        back_end = back_ends.by_mechanism[Mechanism.DEADLINE]
        if offer.domain is Domain.EXCLUSIVE or not isinstance(back_end, DeadlineBackEnd):
            return offer
        own, capacity = _by_core(held), offer.capacity
        shared = offer.domain is Domain.SHARED
        for core in (ANY_CORE,) if shared else self._settings.cpus:
            own_here = own.get(core, Fraction(0))
            wanted = offer.capacity * offer.cpus - own_here
            granted = back_end.grants(core, wanted)
            if granted < wanted:
                left = (granted + own_here) / offer.cpus
                capacity = min(capacity, Fraction(floor(left * PARTS), PARTS))
        return replace(offer, capacity=capacity) if capacity > 0 else None


def _has_deadline(held: Sequence[Reservation]) -> bool:
    return any(one.mechanism is Mechanism.DEADLINE for one in held)


def _by_core(held: Sequence[Reservation]) -> dict[int, Fraction]:
    """ΣQ/P of SCHED_DEADLINE by core."""
    found: dict[int, Fraction] = {}
    for reservation in held:
        if reservation.mechanism is Mechanism.DEADLINE:
            before = found.get(reservation.core, Fraction(0))
            found[reservation.core] = before + reservation.server.bandwidth
    return found
