"""This node's pods, from the informer, and the confirmations and releases that follow."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from daemons.rubicante.book.book import Book
from daemons.rubicante.book.entry import Phase
from k40s.kube.records import PodRecord

log = logging.getLogger(__name__)


class PodSource(Protocol):
    """Looks up pods at the API server."""

    def get_pod(self, namespace: str, name: str) -> PodRecord | None:
        """The pod, or None. Raises ``UnavailableError``."""
        ...


class PodList(Protocol):
    """The pods of this node; implemented by ``NodePods``."""

    def records(self) -> Sequence[PodRecord]:
        """All of them."""
        ...


Wake = Callable[[], None]
"""Wakes the enforcer."""


class NodePods:
    """The informer's handler: confirms reservations of bound pods, releases those of gone ones.

    A pod that is partly unreadable exists and keeps its reservation; an unreadable field keeps its
    last readable value. ``changed`` wakes the enforcer.
    """

    def __init__(self, *, book: Book, changed: Wake) -> None:
        self._book = book
        self._changed = changed
        self._lock = threading.Lock()
        self._pods: dict[str, PodRecord] = {}

    def replace(self, records: Sequence[PodRecord]) -> None:
        """Takes all pods of this node; bound pods that are missing are gone."""
        with self._lock:
            present = {one.uid: one.following(self._pods.get(one.uid)) for one in records}
            self._pods = present
        for entry in self._book.entries():
            if entry.phase is Phase.BOUND and entry.pod.uid not in present:
                self._release(entry.pod.uid, "gone")
        for record in present.values():
            self._compare(record)
        self._changed()

    def merge(self, records: Sequence[PodRecord]) -> None:
        """Takes an incomplete list of this node's pods; nothing is released."""
        for record in records:
            self.upsert(record)

    def upsert(self, record: PodRecord) -> None:
        """A pod was bound here, or its status changed."""
        with self._lock:
            record = record.following(self._pods.get(record.uid))
            self._pods[record.uid] = record
        if self._compare(record):
            self._changed()

    def delete(self, key: str) -> None:
        """A pod is gone for good: its containers have ended."""
        with self._lock:
            self._pods.pop(key, None)
        if self._release(key, "deleted"):
            self._changed()

    def record(self, pod_uid: str) -> PodRecord | None:
        """The pod as the informer last reported it."""
        with self._lock:
            return self._pods.get(pod_uid)

    def records(self) -> tuple[PodRecord, ...]:
        """The node's pods."""
        with self._lock:
            return tuple(self._pods.values())

    def _compare(self, record: PodRecord) -> bool:
        """Confirm or release its reservation; whether the book has or had one."""
        if record.ended:
            return self._release(record.uid, record.phase)
        if self._book.confirm(record.uid):
            log.info("reservation confirmed", extra={"pod": record.uid})
        return self._book.find(record.uid) is not None

    def _release(self, uid: str, cause: str) -> bool:
        done = self._book.start_release(uid)
        if done:
            log.info("reservation released", extra={"pod": uid, "cause": cause})
        return done
