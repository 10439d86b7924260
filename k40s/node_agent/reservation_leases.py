"""Leases of unbound reservations: expiry, withdrawn attempts, and when to look up the pod.

The watch reports pods that are bound here, but not those that are bound elsewhere or deleted
unbound. So a leased pod is looked up: after one second at first, because a scheduler that chose
another node has bound it there by then, and at twice the interval each time. A pod that is bound
here in time, as nearly all are, is never looked up.

Each call that asks for a reservation is an *attempt* with a name of its own. The caller that gives
up withdraws its attempt, in whatever order the two calls arrive: a request of a withdrawn attempt
is refused, and a reservation ends with the last attempt that still waits for it.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from k40s.units import NS_PER_S, Clock, Nanoseconds

_FIRST_LOOK = NS_PER_S
_UNNAMED = ""
"""An attempt that cannot be withdrawn: of a caller that gave no name, or before a restart."""
_WITHDRAWN = 4096
"""Withdrawn attempts that are kept; their requests arrive within seconds, or never."""


@dataclass(slots=True)
class _Lease:
    end: int
    look: int
    interval: int
    attempts: set[str] = field(default_factory=lambda: {_UNNAMED})


class Leases:
    """By pod UID. ``clock`` is monotonic, in ns.

    ``held`` are leases from before a restart: they begin again, and are looked up at once.
    """

    def __init__(self, *, length: Nanoseconds, clock: Clock, held: Iterable[str] = ()) -> None:
        self._length = length
        self._clock = clock
        self._withdrawn: OrderedDict[str, None] = OrderedDict()
        now = clock()
        self._leases = {
            uid: _Lease(end=now + length, look=now, interval=_FIRST_LOOK) for uid in held
        }

    def grant(self, uid: str, attempt: str = _UNNAMED) -> None:
        """Begin a lease of full length, for this attempt alone."""
        now = self._clock()
        self._leases[uid] = _Lease(
            end=now + self._length,
            look=now + _FIRST_LOOK,
            interval=_FIRST_LOOK,
            attempts={attempt},
        )

    def renew(self, uid: str, attempt: str = _UNNAMED) -> None:
        """Begin the lease again; this attempt waits for it as well as the earlier ones."""
        former = self._leases.get(uid)
        self.grant(uid, attempt)
        if former is not None:
            self._leases[uid].attempts |= former.attempts

    def withdraw(self, uid: str, attempt: str) -> bool:
        """Withdraw an attempt; True if no other attempt waits for the pod's reservation."""
        self._withdrawn[attempt] = None
        if len(self._withdrawn) > _WITHDRAWN:
            self._withdrawn.popitem(last=False)
        lease = self._leases.get(uid)
        if lease is None or attempt not in lease.attempts:
            return False
        lease.attempts.remove(attempt)
        return not lease.attempts

    def is_withdrawn(self, attempt: str) -> bool:
        """Whether an attempt was withdrawn."""
        return attempt in self._withdrawn

    def drop(self, uid: str) -> None:
        """Remove a lease that has ended."""
        self._leases.pop(uid, None)

    def has_expired(self, uid: str) -> bool:
        """Whether it has expired; an unknown one has."""
        lease = self._leases.get(uid)
        return lease is None or lease.end <= self._clock()

    def is_due(self, uid: str) -> bool:
        """Whether the pod should be looked up now; doubles the interval if so."""
        lease, now = self._leases.get(uid), self._clock()
        if lease is None or now >= lease.end:
            return True
        if now < lease.look:
            return False
        lease.interval *= 2
        lease.look = now + lease.interval
        return True
