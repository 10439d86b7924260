"""How long a reservation waits for its pod to be bound, and when to look for the pod meanwhile.

The watch tells of pods that are bound here, and never of one that is bound elsewhere or deleted
unbound. So a leased pod is looked up now and then: soon at first, for that is when a scheduler that
changed its mind has bound it elsewhere, and then at twice the interval each time. A pod that is
bound here in time, as nearly all are, is never looked up.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from k40s.units import NS_PER_S, Nanoseconds

_FIRST_LOOK = NS_PER_S


@dataclass(slots=True)
class _Lease:
    end: int
    look: int
    interval: int


class Leases:
    """By pod UID. ``clock`` is monotonic, in ns: wall time may jump as it likes.

    ``held`` are leases of the process before. They get their time anew, and are looked up at once.
    """

    def __init__(
        self, *, length: Nanoseconds, clock: Callable[[], int], held: Iterable[str] = ()
    ) -> None:
        self._length = length
        self._clock = clock
        now = clock()
        self._leases = {
            uid: _Lease(end=now + length, look=now, interval=_FIRST_LOOK) for uid in held
        }

    def renew(self, uid: str) -> None:
        """It lasts its full length from this moment."""
        now = self._clock()
        self._leases[uid] = _Lease(
            end=now + self._length, look=now + _FIRST_LOOK, interval=_FIRST_LOOK
        )

    def drop(self, uid: str) -> None:
        """It has ended, one way or the other."""
        self._leases.pop(uid, None)

    def has_expired(self, uid: str) -> bool:
        """Whether it ran out; one that is unknown has."""
        lease = self._leases.get(uid)
        return lease is None or lease.end <= self._clock()

    def is_due(self, uid: str) -> bool:
        """Whether the pod should be looked up now; then the next time is later."""
        lease, now = self._leases.get(uid), self._clock()
        if lease is None or now >= lease.end:
            return True
        if now < lease.look:
            return False
        lease.interval *= 2
        lease.look = now + lease.interval
        return True
