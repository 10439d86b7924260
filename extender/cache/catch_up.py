"""Waits briefly for the informers to catch up when kube-scheduler retries a refused pod.

kube-scheduler retries because of an event, often of a Node, and within milliseconds: our watch may
bring the same event a little later. If the pod were refused again on the old state, it would not be
retried for minutes, because no further event comes.
"""

import threading
from collections import OrderedDict

from extender.cache.nodes import NodeCache
from extender.cache.snapshot import Snapshot
from k40s.units import NS_PER_MS, NS_PER_S, Clock, Nanoseconds

_ECHO = 100 * NS_PER_MS
"""A retry so soon after a refusal was mostly caused by the refusal itself."""
_ECHO_TIMEOUT = Nanoseconds(50 * NS_PER_MS)
"""It is waited for so long at most: it may have been caused by a change as well."""
_PAUSE = 4
"""After a wait without a change there is none for so many times its timeout."""

_At = tuple[int, int]
"""How often nodes have changed, and what is beside them."""


class CatchUp:
    """Records at which version of the nodes each pod was refused. Any thread may call."""

    def __init__(
        self, *, cache: NodeCache, clock: Clock, timeout: Nanoseconds, pods: int = 20_000
    ) -> None:
        self._cache = cache
        self._clock = clock
        self._timeout = timeout
        self._pods = pods
        self._lock = threading.Lock()
        self._refused: OrderedDict[str, tuple[_At, int]] = OrderedDict()
        self._paused_until = {True: 0, False: 0}  # by whether it is an echo

    def newer(self, uid: str, seen: Snapshot, *, beside: bool = False) -> Snapshot | None:
        """Nodes that have changed since ``seen``, perhaps after a wait; None if they have not.

        ``beside``: the pod depends on what is beside the nodes as well.
        """
        now = self._clock()
        with self._lock:
            former, refused_at = self._refused.get(uid, (None, now))
            echo = now - refused_at < _ECHO
            changed = former is None or _differ(former, seen, beside=beside)
            if changed or now < self._paused_until[echo] or not self._timeout:
                return None
        timeout = min(self._timeout, _ECHO_TIMEOUT) if echo else self._timeout
        found = self._cache.wait_for_newer(seen, timeout=timeout / NS_PER_S, beside=beside)
        if _differ(_at(found), seen, beside=beside):
            return found
        with self._lock:
            self._paused_until[echo] = self._clock() + _PAUSE * timeout
        return None

    def refused(self, uid: str, seen: Snapshot) -> None:
        """Records that every one of these nodes refused the pod."""
        with self._lock:
            self._refused[uid] = (_at(seen), self._clock())
            self._refused.move_to_end(uid)
            if len(self._refused) > self._pods:
                self._refused.popitem(last=False)


def _at(seen: Snapshot) -> _At:
    return seen.version, seen.beside


def _differ(at: _At, seen: Snapshot, *, beside: bool) -> bool:
    return at[0] != seen.version or (beside and at[1] != seen.beside)
