"""SCHED_DEADLINE bandwidth that the kernel still grants, found with probe threads."""

import errno
from collections.abc import Callable
from fractions import Fraction
from math import ceil

from daemons.rubicante.kernel.probes.thread import Probe
from daemons.rubicante.kernel.sched_attr import SchedAttr, deadline_attr, explain, on_core
from daemons.rubicante.kernel.system import Wait
from daemons.rubicante.mechanisms.back_end import MechanismRefusedError
from daemons.rubicante.mechanisms.deadline.affinity import Affinity
from daemons.rubicante.mechanisms.deadline.recount import GONE_THREAD_SECONDS, Rebuild
from k40s.cpu.model import Server
from k40s.errors import KernelError
from k40s.units import NS_PER_S, MonotonicClock, Nanoseconds

REBUILD_SECONDS = 1.0
"""Between two attempts to get bandwidth back that the kernel has lost count of."""
LASTING = frozenset({errno.EPERM, errno.EBUSY, errno.EINVAL})
"""Refusals that stay until somebody changes the root domains, the kernel's limits or the load."""
_RETRY_SECONDS = 0.01
_HALVINGS = 8
_PERIOD = Nanoseconds(NS_PER_S)


Invalidate = Callable[[], None]
"""The kernel refused what it had seemed to offer: the offer has to be found again."""


class DeadlineBandwidth:
    """Probes with ``affinity``'s threads. ``wait`` sleeps for some seconds.

    ``rebuild`` makes the kernel count its bandwidth again, None where nothing can; ``invalidate``
    is called when the kernel refuses what should have been granted. ``clock`` is in seconds.
    """

    def __init__(
        self,
        *,
        affinity: Affinity,
        rebuild: Rebuild | None,
        invalidate: Invalidate,
        wait: Wait,
        clock: MonotonicClock,
    ) -> None:
        self._affinity = affinity
        self._rebuild = rebuild
        self._invalidate = invalidate
        self._wait = wait
        self._clock = clock
        self._next_rebuild = 0.0

    def claim(self, core: int, pod_uid: str, bandwidth: Fraction) -> None:
        """Probe for so much (CPUs, at most 1): one thread cannot have more.

        Raises ``MechanismRefusedError`` where the kernel has no room or no such thread there, and
        ``KernelError`` for other failures.
        """
        try:
            probe = self._affinity.probe(core, pod_uid)
            refusal = None if probe is None else self._attempt_with_retries(probe, _attr(bandwidth))
        except OSError as error:
            refusal = error
        except KernelError:
            self._invalidate()
            raise
        if refusal is None:
            return
        text = f"SCHED_DEADLINE, {float(bandwidth):.4f} of a CPU{on_core(core)}: {explain(refusal)}"
        self.note(refusal)
        if refusal.errno in LASTING:
            raise MechanismRefusedError(text) from refusal
        raise KernelError(text) from refusal

    def grants(self, core: int, wanted: Fraction) -> Fraction:
        """The part of ``wanted`` (CPUs) that the kernel grants at present, to within 1/256 of it.

        All of it where there is no probe. Raises ``OSError`` and ``KernelError``.
        """
        probe = self._affinity.probe(core, "")
        most = min(wanted, Fraction(1))
        if probe is None or most <= 0 or probe.attempt(_attr(most)) is None:
            return wanted
        granted, refused = Fraction(0), most
        for _ in range(_HALVINGS):
            middle = (granted + refused) / 2
            if probe.attempt(_attr(middle)) is None:
                granted = middle
            else:
                refused = middle
        return granted

    def recount(self) -> bool:
        """Have the kernel count its bandwidth again, now and then; True when it has."""
        now = self._clock()
        if self._rebuild is None or now < self._next_rebuild:
            return False
        self._next_rebuild = now + REBUILD_SECONDS
        self._rebuild()
        return True

    def note(self, refusal: OSError) -> None:
        """The kernel refused a thread: what is offered may not be there any more."""
        if refusal.errno in LASTING:
            self._invalidate()

    def _attempt_with_retries(self, probe: Probe, attr: SchedAttr) -> OSError | None:
        waited = 0.0
        repaired = False
        while (refusal := probe.attempt(attr)) is not None:
            if refusal.errno == errno.EPERM and not repaired:
                self._affinity.repair()
                repaired = True
            elif refusal.errno == errno.EBUSY and waited < GONE_THREAD_SECONDS:
                self._wait(_RETRY_SECONDS)
                waited += _RETRY_SECONDS
            elif refusal.errno != errno.EBUSY or not self.recount():
                return refusal
        return None


def _attr(bandwidth: Fraction) -> SchedAttr:
    return deadline_attr(
        Server(budget=Nanoseconds(ceil(bandwidth * _PERIOD)), period=_PERIOD), _PERIOD
    )
