"""One informer's changes for several tables: each object is listed and watched once."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from k40s.kube.informer import Handler
from k40s.kube.list_watch import Keyed

R = TypeVar("R", bound=Keyed)


class FanOut(Generic[R]):
    """Passes every change on, in the order of the handlers."""

    def __init__(self, *handlers: Handler[R]) -> None:
        self._handlers = handlers

    def replace(self, records: Sequence[R]) -> None:
        """All records."""
        for handler in self._handlers:
            handler.replace(records)

    def merge(self, records: Sequence[R]) -> None:
        """Some of them."""
        for handler in self._handlers:
            handler.merge(records)

    def upsert(self, record: R) -> None:
        """A record is new or has changed."""
        for handler in self._handlers:
            handler.upsert(record)

    def delete(self, key: str) -> None:
        """A record is gone."""
        for handler in self._handlers:
            handler.delete(key)
