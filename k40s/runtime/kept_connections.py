"""Connections to one server that are used again and again.

urllib3 knows how to reach it (proxy, certificates, names) and makes each connection; what is sent
and received on it is ours (``http_connection``).
"""

import http.client
import threading
import time
import weakref

import urllib3
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from k40s.runtime.http_connection import Connection, ProtocolError
from k40s.units import NS_PER_S

FAILURES = (OSError, ValueError, urllib3.exceptions.HTTPError, http.client.HTTPException)
"""What may be raised while a connection is made or used."""
_KEPT = 32


class KeptConnections:
    """Idle connections, the last used first. Any thread may take one and give it back."""

    def __init__(self, pool: HTTPConnectionPool) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        weakref.finalize(self, _close_all, self._idle)
        host = f"[{pool.host}]" if ":" in pool.host.strip("[]") else pool.host
        self.host = host if pool.port is None else f"{host}:{pool.port}"

    def take(self, deadline: int) -> Connection:
        """One that is open, or a new one. Raises one of ``FAILURES``; no request was sent then.

        ``deadline`` is of the monotonic clock, ns, and stays the connection's.
        """
        connection = self._find_idle() or self._connect(deadline)
        connection.set_deadline(deadline)
        return connection

    def give_back(self, connection: Connection) -> None:
        """Its answer was read to the end: let others use it."""
        with self._lock:
            if len(self._idle) < _KEPT:
                self._idle.append(connection)
                return
        connection.close()

    def _find_idle(self) -> Connection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if connection.is_idle():
                return connection
            connection.close()

    def _connect(self, deadline: int) -> Connection:
        pool = self._pool
        made = pool._new_conn()  # noqa: SLF001  # nothing public makes one with the pool's settings
        made.timeout = max((deadline - time.monotonic_ns()) / NS_PER_S, 0.001)
        if pool.proxy is not None and isinstance(pool, HTTPSConnectionPool):
            pool._prepare_proxy(made)  # type: ignore[arg-type]  # noqa: SLF001
        else:
            made.connect()
        sock = getattr(made, "sock", None)
        if sock is None:
            raise ProtocolError("no connection")
        return Connection(sock)


def _close_all(connections: list[Connection]) -> None:
    for connection in connections:
        connection.close()
