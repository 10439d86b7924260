"""A bounded table of unauthenticated connections, and which of them is evicted when it is full.

Pure: sockets, time and threads are in ``k40s.http.connections.accept_loop``.
"""

import ipaddress
from collections.abc import Hashable
from typing import Generic, TypeVar

Connection = TypeVar("Connection", bound=Hashable)
_MAPPED = "::ffff:"
_ONE_SITE = 64


def source_of(address: object) -> str:
    """The source of a peer's address: IPv4 as it is, IPv6 by its /64, of which one host has all."""
    text = str(address[0]) if isinstance(address, tuple) and address else ""
    if ":" not in text:
        return text
    if text.startswith(_MAPPED) and "." in text:
        return text.removeprefix(_MAPPED)
    number = int(ipaddress.IPv6Address(text.partition("%")[0]))
    return str(ipaddress.IPv6Address(number >> _ONE_SITE << _ONE_SITE))


class ConnectionTable(Generic[Connection]):
    """Connections in the order of their arrival, and by source."""

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError("a limit of one at least")
        self._limit = limit
        self._arrivals = 0
        self._sources: dict[Connection, str] = {}
        self._by_source: dict[str, dict[Connection, int]] = {}

    def __len__(self) -> int:
        return len(self._sources)

    def __contains__(self, connection: object) -> bool:
        return connection in self._sources

    def add(self, connection: Connection, source: str) -> Connection | None:
        """Add one; returns the connection evicted for it, already removed, or None.

        That is the oldest of the source with the most connections. So a source that opens many
        only ever evicts its own, unless others have as many.
        """
        self._arrivals += 1
        self._sources[connection] = source
        self._by_source.setdefault(source, {})[connection] = self._arrivals
        return self.evict() if len(self._sources) > self._limit else None

    def evict(self) -> Connection | None:
        """Remove and return the first to be evicted; None when the table is empty."""
        if not self._by_source:
            return None
        largest = max(
            self._by_source.values(), key=lambda own: (len(own), -next(iter(own.values())))
        )
        evicted = next(iter(largest))
        self.remove(evicted)
        return evicted

    def remove(self, connection: Connection) -> None:
        """Remove one; KeyError when it is not there."""
        source = self._sources.pop(connection)
        own = self._by_source[source]
        del own[connection]
        if not own:
            del self._by_source[source]

    def oldest(self) -> Connection | None:
        """The connection that arrived first, or None."""
        return next(iter(self._sources), None)

    def order(self, connection: Connection) -> tuple[int, int]:
        """Sort key for service: sources with few connections first, then the earlier arrival."""
        own = self._by_source[self._sources[connection]]
        return len(own), own[connection]
