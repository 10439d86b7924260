"""The records of one kind as an informer's handler keeps them, for whoever reads all at once."""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from k40s.kube.list_watch import Keyed

R = TypeVar("R", bound=Keyed)


class RecordTable(Generic[R]):
    """A ``Handler``. ``on_change`` is called after each change, in the informer's thread."""

    def __init__(self, *, on_change: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._records: dict[str, R] = {}
        self._on_change = on_change
        self.listed = False
        """Whether there was a list at all."""

    @property
    def records(self) -> tuple[R, ...]:
        """All of them at this instant; unchanged ones are the same objects as before."""
        with self._lock:
            return tuple(self._records.values())

    def replace(self, records: Sequence[R]) -> None:
        """These are all."""
        with self._lock:
            self._records = {one.key: one for one in records}
            self.listed = True
        self._on_change()

    def merge(self, records: Sequence[R]) -> None:
        """These exist, others may."""
        with self._lock:
            self._records |= {one.key: one for one in records}
            self.listed = True
        self._on_change()

    def upsert(self, record: R) -> None:
        """This one is new or has changed; one that says the same is no change."""
        with self._lock:
            if self._records.get(record.key) == record:
                return
            self._records[record.key] = record
        self._on_change()

    def delete(self, key: str) -> None:
        """The one with this key is gone."""
        with self._lock:
            self._records.pop(key, None)
        self._on_change()
