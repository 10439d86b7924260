"""Whether the kernel has room for more SCHED_DEADLINE bandwidth: a waiting thread of ours asks."""

import errno
from collections.abc import Callable
from fractions import Fraction
from math import ceil

from daemons.rubicante.kernel.confinement import Confinement
from daemons.rubicante.kernel.deadline_words import on_core, say
from daemons.rubicante.kernel.mechanism import MechanismRefusedError
from daemons.rubicante.kernel.parking import Parked
from daemons.rubicante.kernel.sched_attr import SchedAttr, deadline_attr
from k40s.cpu.model import Server
from k40s.errors import KernelError
from k40s.units import NS_PER_S, Nanoseconds

GONE_THREAD_SECONDS = 0.5
"""How long EBUSY may mean a thread that has just gone: the kernel counts it until its deadline."""
REBUILD_SECONDS = 1.0
"""Between two attempts to get bandwidth back that the kernel has lost count of."""
LASTING = frozenset({errno.EPERM, errno.EBUSY, errno.EINVAL})
"""Refusals that stay until somebody changes the root domains, the kernel's limits or the load."""
_RETRY_SECONDS = 0.01
_HALVINGS = 8
_PERIOD = Nanoseconds(NS_PER_S)


class DeadlineRoom:
    """Asks with ``confinement``'s waiting threads. ``wait`` sleeps for some seconds.

    ``rebuild`` makes the kernel count its bandwidth afresh, None where nothing can; ``doubt`` is
    called when the kernel refuses what should have been granted. ``clock`` is in seconds.
    """

    def __init__(
        self,
        *,
        confinement: Confinement,
        rebuild: Callable[[], None] | None,
        doubt: Callable[[], None],
        wait: Callable[[float], object],
        clock: Callable[[], float],
    ) -> None:
        self._confinement = confinement
        self._rebuild = rebuild
        self._doubt = doubt
        self._wait = wait
        self._clock = clock
        self._next_rebuild = 0.0

    def claim(self, core: int, pod_uid: str, bandwidth: Fraction) -> None:
        """Ask for so much (CPUs, at most 1); in a shared domain one thread can ask for no more.

        Raises ``MechanismRefusedError`` where the kernel has no room or no such thread there, and
        ``KernelError`` for other failures.
        """
        try:
            asker = self._confinement.asker(core, pod_uid)
            refusal = None if asker is None else self._patiently(asker, _attr(bandwidth))
        except OSError as error:
            refusal = error
        except KernelError:
            self._doubt()
            raise
        if refusal is None:
            return
        text = f"SCHED_DEADLINE, {float(bandwidth):.4f} of a CPU{on_core(core)}: {say(refusal)}"
        self.note(refusal)
        if refusal.errno in LASTING:
            raise MechanismRefusedError(text) from refusal
        raise KernelError(text) from refusal

    def grants(self, core: int, wanted: Fraction) -> Fraction:
        """How much of ``wanted`` (CPUs) the kernel grants at present, to within 1/256 of it.

        All of it where nobody can ask. Raises ``OSError`` and ``KernelError``.
        """
        asker = self._confinement.asker(core, "")
        most = min(wanted, Fraction(1))
        if asker is None or most <= 0 or asker.ask(_attr(most)) is None:
            return wanted
        granted, refused = Fraction(0), most
        for _ in range(_HALVINGS):
            middle = (granted + refused) / 2
            if asker.ask(_attr(middle)) is None:
                granted = middle
            else:
                refused = middle
        return granted

    def count_afresh(self) -> bool:
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
            self._doubt()

    def _patiently(self, asker: Parked, attr: SchedAttr) -> OSError | None:
        waited = 0.0
        repaired = False
        while (refusal := asker.ask(attr)) is not None:
            if refusal.errno == errno.EPERM and not repaired:
                self._confinement.repair()
                repaired = True
            elif refusal.errno == errno.EBUSY and waited < GONE_THREAD_SECONDS:
                self._wait(_RETRY_SECONDS)
                waited += _RETRY_SECONDS
            elif refusal.errno != errno.EBUSY or not self.count_afresh():
                return refusal
        return None


def _attr(bandwidth: Fraction) -> SchedAttr:
    return deadline_attr(
        Server(budget=Nanoseconds(ceil(bandwidth * _PERIOD)), period=_PERIOD), _PERIOD
    )
