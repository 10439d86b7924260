"""Short requests to one server over kept connections of the standard library.

urllib3 spends twice the CPU of ``http.client`` on the same request, and the scheduler waits for
Bindings. The server, its authority and our certificate are those of urllib3's pool.
"""

import http.client
import ssl
import threading
import time
import weakref
from collections.abc import Mapping

from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import wait_for_read

from k40s.runtime.punctual import PunctualSocket, end_call_at
from k40s.units import NS_PER_S


def is_direct(pool: HTTPConnectionPool) -> bool:
    """Whether the pool does nothing that ``http.client`` would not: no proxy, no unusual check."""
    if pool.proxy is not None or pool.conn_kw:
        return False
    if not isinstance(pool, HTTPSConnectionPool):
        return True
    verified = pool.cert_reqs in ("CERT_REQUIRED", ssl.CERT_REQUIRED)
    return verified and not pool.assert_fingerprint and pool.assert_hostname in (None, True)


class KeptConnections:
    """Idle connections to the server of a pool, the last used first. Any thread may call."""

    def __init__(self, pool: HTTPConnectionPool, *, most: int = 32) -> None:
        self._pool = pool
        self._most = most
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []
        weakref.finalize(self, _close_all, self._idle)

    def exchange(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline: int,
        longest: int,
    ) -> tuple[int, bytes]:
        """Send one request, once, and return status and body of the answer.

        ``deadline`` (monotonic clock, ns) bounds the call, without TLS but for an answer that
        trickles; ``longest`` bounds the body, in bytes. Raises ``HTTPException`` or ``OSError``.
        """
        connection = self._take()
        end_call_at(deadline / NS_PER_S)
        try:
            _limit(connection, deadline)
            connection.request(method, target, body, headers)
            _limit(connection, deadline)
            response = connection.getresponse()
            content = _read(response, longest)
        except BaseException:
            connection.close()
            raise
        self._give_back(connection)
        return response.status, content

    def _take(self) -> http.client.HTTPConnection:
        while True:
            with self._lock:
                if not self._idle:
                    break
                connection = self._idle.pop()
            if connection.sock is not None and not wait_for_read(connection.sock, 0):
                return connection
            connection.close()  # the server has ended it
        pool = self._pool
        if not isinstance(pool, HTTPSConnectionPool):
            return http.client.HTTPConnection(pool.host, pool.port)
        context = ssl.create_default_context(cafile=pool.ca_certs, capath=pool.ca_cert_dir)
        context.sslsocket_class = PunctualSocket
        if pool.cert_file:
            context.load_cert_chain(pool.cert_file, pool.key_file, pool.key_password)
        return http.client.HTTPSConnection(pool.host, pool.port, context=context)

    def _give_back(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if len(self._idle) < self._most:
                self._idle.append(connection)
                return
        connection.close()


def _limit(connection: http.client.HTTPConnection, deadline: int) -> None:
    left = (deadline - time.monotonic_ns()) / NS_PER_S
    if left <= 0:
        raise TimeoutError("timed out")
    connection.timeout = left
    if connection.sock is not None:
        connection.sock.settimeout(left)


def _read(response: http.client.HTTPResponse, longest: int) -> bytes:
    if response.status < http.client.OK:
        raise http.client.HTTPException(f"{response.status}, and an answer still to come")
    content = response.read(longest + 1)
    if len(content) > longest:
        raise http.client.HTTPException(f"answer above {longest} bytes")
    if response.length:
        raise http.client.IncompleteRead(content, response.length)
    return content


def _close_all(connections: list[http.client.HTTPConnection]) -> None:
    for connection in connections:
        connection.close()
