"""RuntimeClasses, and the runtime handlers of the Nodes: what isolation by criticality asks for."""

import threading
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from k40s.kube.objects.runtimes import NodeRuntimes, RuntimeClassRecord

R = TypeVar("R", NodeRuntimes, RuntimeClassRecord)


class LastSeen(Generic[R]):
    """Handler of one kind: the last record of each object. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[str, R] = {}

    def records(self) -> Mapping[str, R]:
        """A copy that does not change, by name."""
        with self._lock:
            return dict(self._records)

    def replace(self, records: Sequence[R]) -> None:
        """All of them."""
        with self._lock:
            self._records = {one.name: one for one in records}

    def merge(self, records: Sequence[R]) -> None:
        """Some of them."""
        with self._lock:
            self._records |= {one.name: one for one in records}

    def upsert(self, record: R) -> None:
        """One is new or has changed."""
        self.merge([record])

    def delete(self, key: str) -> None:
        """One is gone."""
        with self._lock:
            self._records.pop(key, None)
