"""What an informer needs of an API server: the port, and its values."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

from k40s.errors import K40sError


class GoneError(K40sError):
    """The resource version asked for is too old (410): list again."""


class Keyed(Protocol):
    """A record that can be told from others of its kind."""

    @property
    def key(self) -> str:
        """Unique over the lifetime of the cluster, or reused only for the same thing."""


R = TypeVar("R", bound=Keyed)


class Change(Enum):
    """What a watch event says of its object."""

    UPSERT = "upsert"
    DELETE = "delete"
    BOOKMARK = "bookmark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[R]):
    """All records at one resource version."""

    records: tuple[R, ...]
    resource_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent(Generic[R]):
    """One change; ``record`` is None for a bookmark only."""

    change: Change
    record: R | None
    resource_version: str


class WatchSource(Protocol[R]):
    """List and watch of one kind of object."""

    def list(self) -> Listing[R]:
        """Everything, consistently. Raises ``UnavailableError``."""

    def watch(self, resource_version: str) -> Iterator[WatchEvent[R]]:
        """Changes since then, until the server ends the stream.

        Raises ``GoneError`` when that version is too old, ``UnavailableError`` when the connection
        fails.
        """
