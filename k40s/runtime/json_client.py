"""A pooled HTTPS client for the daemons' API, with mutual TLS."""

import threading
import time

import urllib3

from k40s.errors import UnavailableError
from k40s.runtime.punctual import PunctualSocket, end_call_at
from k40s.runtime.tls import RenewingContext, TlsFiles, client_context
from k40s.units import NS_PER_S, Nanoseconds

_MAX_ANSWER = 1 << 20


class JsonClient:
    """Calls any endpoint whose certificate carries ``server_name``.

    Daemons are addressed by their pod's address, which no certificate can name; what is checked is
    the service's name. A renewed certificate is used from the next call on.
    """

    def __init__(
        self,
        *,
        tls: TlsFiles,
        server_name: str,
        timeout: Nanoseconds,
        connections_per_peer: int = 4,
    ) -> None:
        self._context = RenewingContext(tls, client_context)
        self._server_name = server_name
        self._timeout = timeout
        self._connections = connections_per_peer
        self._lock = threading.Lock()
        self._made_for: object = None
        self._pools = urllib3.PoolManager()

    def request(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        *,
        timeout: Nanoseconds | None = None,
    ) -> tuple[int, bytes]:
        """Return (status, body), whatever the status.

        Raises ``UnavailableError`` when no complete answer comes: no connection, a wrong
        certificate, a timeout, an answer above 1 MB. A request that may have arrived is never
        repeated here; ``timeout`` bounds the call as a whole, however slowly an answer trickles.
        """
        limit = (self._timeout if timeout is None else timeout) / NS_PER_S
        end_call_at(time.monotonic() + limit)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            answer = self._current_pools().request(
                method,
                url,
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(total=limit),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            try:
                content = answer.read(_MAX_ANSWER + 1)
                if len(content) > _MAX_ANSWER:
                    answer.close()  # or the next answer would begin with the rest of this one
            finally:
                answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnavailableError(f"{method} {url}: {_shorten(error)}") from error
        if len(content) > _MAX_ANSWER:
            raise UnavailableError(f"{method} {url}: answer above {_MAX_ANSWER} bytes")
        return answer.status, content

    def close(self) -> None:
        """Close all idle connections."""
        self._pools.clear()

    def _current_pools(self) -> urllib3.PoolManager:
        context = self._context.get()
        with self._lock:
            if context is not self._made_for:
                context.sslsocket_class = PunctualSocket
                self._pools = urllib3.PoolManager(
                    num_pools=1024,
                    maxsize=self._connections,
                    ssl_context=context,
                    server_hostname=self._server_name,
                )
                self._made_for = context
            return self._pools


def _shorten(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
