"""Informer handlers that several caches can share."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

R = TypeVar("R")
T = TypeVar("T")
Take = Callable[[T], None]
"""Takes a record, all records of a list, or a name."""


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
