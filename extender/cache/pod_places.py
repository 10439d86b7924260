"""Where the bound pods run, by namespace and name, and which pods are gone.

A pod that requires a path names its peers so; a reservation of a pod that is gone is free.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

from k40s.kube.records import PodRecord
from k40s.kube.watching.feed import Feed

_AWAITED = 10_000


class PodPlaces:
    """Fed by an informer; any thread may read.

    ``on_gone`` gets the UID of a pod that is deleted or has ended: no container of it will ever run
    again. ``on_placed`` is called when a pod is placed for which somebody has asked in vain.
    """

    def __init__(self, *, on_gone: Callable[[str], None], on_placed: Callable[[], None]) -> None:
        self._on_gone = on_gone
        self._on_placed = on_placed
        self._lock = threading.Lock()
        self._keys: dict[str, str] = {}  # by UID
        self._places: dict[str, tuple[str, str]] = {}  # key -> UID, node
        self._awaited: OrderedDict[str, None] = OrderedDict()
        self.feed = Feed(self.replace, self.merge, self.upsert, self.delete)

    def find(self, key: str) -> str | None:
        """The node of the pod ``namespace/name``, or None while it is not bound."""
        with self._lock:
            place = self._places.get(key)
            if place is not None:
                return place[1]
            self._awaited[key] = None
            if len(self._awaited) > _AWAITED:
                self._awaited.popitem(last=False)
            return None

    def assume(self, uid: str, key: str, node: str) -> None:
        """Places a pod that was just bound, before the watch reports it.

        One that the watch does not know may be gone already.
        """
        with self._lock:
            known = uid in self._keys
        if known:
            self._place(uid, key, node)

    def replace(self, records: Sequence[PodRecord]) -> None:
        """Takes all pods; those that were known and are missing are gone."""
        with self._lock:
            missing = self._keys.keys() - {record.uid for record in records}
        for uid in missing:
            self.delete(uid)
        self.merge(records)

    def merge(self, records: Sequence[PodRecord]) -> None:
        """Adds or updates pods from an incomplete list."""
        for record in records:
            self.upsert(record)

    def upsert(self, record: PodRecord) -> None:
        """Takes a pod. A bound one stays bound until it ends."""
        if record.ended:
            self.delete(record.uid)
        else:
            self._place(record.uid, f"{record.namespace}/{record.name}", record.node)

    def delete(self, uid: str) -> None:
        """Removes a pod: it is gone."""
        with self._lock:
            key = self._keys.pop(uid, None)
            if key is not None and self._places.get(key, ("", ""))[0] == uid:
                del self._places[key]
        self._on_gone(uid)

    def _place(self, uid: str, key: str, node: str) -> None:
        with self._lock:
            self._keys[uid] = key
            if not node or self._places.get(key) == (uid, node):
                return
            self._places[key] = (uid, node)
            awaited = key in self._awaited
            self._awaited.pop(key, None)
        if awaited:
            self._on_placed()
