"""A moment for our own watch, when a pod is asked for again though nothing seems to have changed.

kube-scheduler asks again for a refused pod because of an event, often of a Node, and within
milliseconds: our watch may bring the same event a little later. Were the pod refused again on the
old state, nobody would ask once more for minutes, because no further event comes.
"""

import threading
from collections import OrderedDict

from extender.heartbeats import Clock
from extender.nodes import NodeCache
from extender.views import Snapshot
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

_ECHO = 100 * NS_PER_MS
"""A question so soon after a refusal was caused by the refusal itself."""
_REST = 4
"""After a moment spent in vain, none is spent for so many times its length."""


class Settling:
    """Remembers at which version of the nodes each pod was refused. Any thread may call."""

    def __init__(
        self, *, cache: NodeCache, clock: Clock, moment: Nanoseconds, pods: int = 20_000
    ) -> None:
        self._cache = cache
        self._clock = clock
        self._moment = moment
        self._pods = pods
        self._lock = threading.Lock()
        self._refused: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._resting_until = 0

    def newer(self, uid: str, seen: Snapshot) -> Snapshot | None:
        """Nodes that have changed since ``seen``, perhaps after a moment; None if they have not."""
        now = self._clock()
        with self._lock:
            version, refused_at = self._refused.get(uid, (-1, now))
            expects_news = version == seen.version and now - refused_at >= _ECHO
            if not expects_news or now < self._resting_until or not self._moment:
                return None
        found = self._cache.wait_for_newer(seen, timeout=self._moment / NS_PER_S)
        if found.version != seen.version:
            return found
        with self._lock:
            self._resting_until = self._clock() + _REST * self._moment
        return None

    def refused(self, uid: str, seen: Snapshot) -> None:
        """The pod was refused everywhere on these nodes."""
        with self._lock:
            self._refused[uid] = (seen.version, self._clock())
            self._refused.move_to_end(uid)
            if len(self._refused) > self._pods:
                self._refused.popitem(last=False)
