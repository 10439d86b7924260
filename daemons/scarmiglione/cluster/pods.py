"""This node's pods, from the informer."""

import threading
from collections import OrderedDict
from collections.abc import Sequence

from daemons.scarmiglione.slots.book import Book
from daemons.scarmiglione.slots.judgement import Fate
from daemons.scarmiglione.station.networks import Changed
from k40s.kube.records import PodRecord

_GONE = 4096
"""Pods that are kept as gone: a bind that is given up late may still ask for slots of one."""


class NodePods:
    """The informer's handler; implements ``PodView``. ``changed`` wakes the reconciliation.

    A pod that is partly unreadable exists; an unreadable field keeps its last readable value.
    """

    def __init__(self, *, book: Book, changed: Changed) -> None:
        self._book = book
        self._listed = False
        self._changed = changed
        self._lock = threading.Lock()
        self._pods: dict[str, PodRecord] = {}
        self._gone: OrderedDict[str, None] = OrderedDict()

    def replace(self, records: Sequence[PodRecord]) -> None:
        """Take all pods of this node; those that are missing are gone."""
        with self._lock:
            present = {one.uid: one.following(self._pods.get(one.uid)) for one in records}
            for uid in self._pods.keys() - present.keys():
                self._note_gone(uid)
            self._pods = present
            self._listed = True
        for uid in present:
            self._book.bind(uid)
        self._changed()

    def merge(self, records: Sequence[PodRecord]) -> None:
        """Take an incomplete list of this node's pods; nothing is released."""
        for record in records:
            self.upsert(record)

    def upsert(self, record: PodRecord) -> None:
        """A pod was bound here, or its status changed."""
        with self._lock:
            self._pods[record.uid] = record.following(self._pods.get(record.uid))
        self._book.bind(record.uid)
        self._changed()

    def delete(self, key: str) -> None:
        """A pod is gone for good: its containers have ended."""
        with self._lock:
            self._pods.pop(key, None)
            self._note_gone(key)
        self._changed()

    def records(self) -> tuple[PodRecord, ...]:
        """The node's pods."""
        with self._lock:
            return tuple(self._pods.values())

    def fate(self, uid: str, *, bound: bool) -> Fate:
        """What became of a pod; ``bound``: it was here once."""
        with self._lock:
            record = self._pods.get(uid)
            if record is not None:
                return Fate.OVER if record.ended else Fate.HERE
            missing = bound and self._listed
            return Fate.OVER if missing or uid in self._gone else Fate.UNSEEN

    def _note_gone(self, uid: str) -> None:
        self._gone[uid] = None
        if len(self._gone) > _GONE:
            self._gone.popitem(last=False)
