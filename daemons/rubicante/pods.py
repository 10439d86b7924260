"""This node's pods as the API server tells them, and what that means for the book."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from daemons.rubicante.book import Book
from daemons.rubicante.entry import Phase
from k40s.runtime.records import PodRecord

log = logging.getLogger(__name__)


class PodSource(Protocol):
    """Where a pod is looked up."""

    def get_pod(self, namespace: str, name: str) -> PodRecord | None:
        """The pod, or None. Raises ``UnavailableError``."""
        ...


class NodePods:
    """The informer's handler: confirms reservations of bound pods, lets go those of gone ones.

    ``changed`` is called when the enforcer has a reason to look.
    """

    def __init__(self, *, book: Book, changed: Callable[[], None]) -> None:
        self._book = book
        self._changed = changed
        self._lock = threading.Lock()
        self._pods: dict[str, PodRecord] = {}

    def replace(self, records: Sequence[PodRecord]) -> None:
        """These are all pods of this node; bound ones that are missing are gone."""
        present = {record.uid: record for record in records}
        with self._lock:
            self._pods = present
        for entry in self._book.entries():
            if entry.phase is Phase.BOUND and entry.pod.uid not in present:
                self._let_go(entry.pod.uid, "gone")
        for record in records:
            self._judge(record)
        self._changed()

    def upsert(self, record: PodRecord) -> None:
        """A pod was bound here, or its status changed."""
        with self._lock:
            self._pods[record.uid] = record
        if self._judge(record):
            self._changed()

    def delete(self, key: str) -> None:
        """A pod is gone for good: its containers have ended."""
        with self._lock:
            self._pods.pop(key, None)
        if self._let_go(key, "deleted"):
            self._changed()

    def container_ids(self, pod_uid: str) -> Mapping[str, str]:
        """Container name → id, as far as the pod's status tells."""
        with self._lock:
            record = self._pods.get(pod_uid)
        return {} if record is None else record.container_ids

    def records(self) -> tuple[PodRecord, ...]:
        """The node's pods."""
        with self._lock:
            return tuple(self._pods.values())

    def _judge(self, record: PodRecord) -> bool:
        """Whether the pod concerns the book."""
        if record.ended:
            return self._let_go(record.uid, record.phase)
        if self._book.confirm(record.uid):
            log.info("reservation confirmed", extra={"pod": record.uid})
        return self._book.find(record.uid) is not None

    def _let_go(self, uid: str, cause: str) -> bool:
        done = self._book.let_go(uid)
        if done:
            log.info("reservation released", extra={"pod": uid, "cause": cause})
        return done
