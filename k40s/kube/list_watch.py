"""The port of an informer to the API server, and its values."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

from k40s.errors import K40sError


class GoneError(K40sError):
    """The resource version asked for is too old (410): list again."""


class Keyed(Protocol):
    """A record with a unique key."""

    @property
    def key(self) -> str:
        """Unique over the lifetime of the cluster, or reused only for the same thing."""


R = TypeVar("R", bound=Keyed)


class Change(Enum):
    """The kind of a watch event."""

    UPSERT = "upsert"
    DELETE = "delete"
    BOOKMARK = "bookmark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """An object that was read partly, or not at all.

    ``name`` holds those of its names that could be read; ``fields`` are the unreadable ones, and
    ``cause`` says what was found in the first. Without all of its names it is not ``identified``,
    and has no record.
    """

    name: str
    fields: tuple[str, ...]
    cause: str
    identified: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[R]):
    """All records at one resource version, and the unreadable objects."""

    records: tuple[R, ...]
    resource_version: str
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether objects that are not among ``records`` are gone for certain."""
        return all(one.identified for one in self.unreadable)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent(Generic[R]):
    """One change; ``record`` is None for a bookmark, and for an object without its names.

    ``resource_version`` is "" where that cannot be read: the version before still holds.
    """

    change: Change
    record: R | None
    resource_version: str
    unreadable: Unreadable | None = None


class WatchSource(Protocol[R]):
    """List and watch of one kind of object."""

    def list(self) -> Listing[R]:
        """Everything, consistently. Raises ``UnavailableError``."""

    def watch(self, resource_version: str) -> Iterator[WatchEvent[R]]:
        """Changes since then, until the server ends the stream.

        Raises ``GoneError`` when that version is too old, ``UnavailableError`` when the connection
        fails.
        """
