"""What an informer feeds: a handler, or several in a row, so that each object is watched once."""

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from k40s.kube.list_watch import Keyed

R = TypeVar("R", bound=Keyed)
R_contra = TypeVar("R_contra", bound=Keyed, contravariant=True)
T = TypeVar("T")
Take = Callable[[T], None]
"""Takes a record, all records of a list, or a name."""


class Handler(Protocol[R_contra]):
    """Receives changes, in the informer's thread, one at a time."""

    def replace(self, records: Sequence[R_contra]) -> None:
        """A complete list: whatever is not in it is gone."""

    def merge(self, records: Sequence[R_contra]) -> None:
        """An incomplete list, with unidentified objects: these exist, and nothing is gone."""

    def upsert(self, record: R_contra) -> None:
        """This record is new or has changed."""

    def delete(self, key: str) -> None:
        """The record with this ``key`` is gone."""


class Feed(Generic[R]):
    """The four callbacks of one informer."""

    def __init__(
        self,
        replace: Take[Sequence[R]],
        merge: Take[Sequence[R]],
        upsert: Take[R],
        delete: Take[str],
    ) -> None:
        self.replace = replace
        self.merge = merge
        self.upsert = upsert
        self.delete = delete

    @classmethod
    def of(cls, handler: Handler[R]) -> "Feed[R]":
        """The callbacks of a handler."""
        return cls(handler.replace, handler.merge, handler.upsert, handler.delete)

    def and_then(self, other: "Feed[R]") -> "Feed[R]":
        """A feed that calls both, this one first."""
        return Feed(
            _each(self.replace, other.replace),
            _each(self.merge, other.merge),
            _each(self.upsert, other.upsert),
            _each(self.delete, other.delete),
        )


def _each(first: Take[T], second: Take[T]) -> Take[T]:
    def call(value: T) -> None:
        first(value)
        second(value)

    return call
