"""Probes and metrics on a plain port of their own: kubelet has no k40s client certificate."""

import json
import socket
from collections.abc import Callable

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from k40s.http.connections.accept_loop import AcceptLoop
from k40s.http.connections.limits import find_connection_limits
from k40s.http.connections.nonblocking_io import ConnectionCoroutine, linger, receive, send
from k40s.http.listening import Host, listen

Check = Callable[[], str | None]
"""Returns None when all is well, else a short text that says what is not."""

TIMEOUT_S = 5.0
"""Of a whole connection: one request, one response."""
_MAX_HEAD = 8192


class ProbeServer:
    """``/healthz``, ``/readyz`` and ``/metrics``, nothing else, from one thread.

    Start it after a fork. Checks must not block: all requests are answered by one thread.
    """

    def __init__(
        self,
        *,
        host: Host,
        port: int,
        registry: CollectorRegistry,
        healthy: Check = lambda: None,
        ready: Check = lambda: None,
        limit: int | None = None,
        timeout: float = TIMEOUT_S,
    ) -> None:
        """Bind the port (0 chooses one). Raises ``UnavailableError`` when it cannot be bound.

        ``limit`` bounds the connections; by default it follows from the limit of open files.
        """
        self._registry = registry
        self._checks = {"/healthz": healthy, "/readyz": ready}
        self._metrics: tuple[int, bytes] = (-1, b"")
        self._listeners = listen(host, port)
        self._accept_loop = AcceptLoop(
            self._listeners,
            self._handle,
            name="probes",
            limit=find_connection_limits().probes if limit is None else limit,
            timeout=timeout,
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._listeners[0].getsockname()[1])

    def __len__(self) -> int:
        """How many connections are open."""
        return len(self._accept_loop)

    def start(self) -> None:
        """Serve in a daemon thread."""
        self._accept_loop.start()

    def stop(self) -> None:
        """Stop serving, and free the port."""
        self._accept_loop.stop()
        for listener in self._listeners:
            listener.close()

    def _handle(self, raw: socket.socket, _address: object) -> ConnectionCoroutine:
        try:
            head = bytearray()
            while b"\r\n\r\n" not in head and len(head) <= _MAX_HEAD:
                received = yield from receive(raw)
                head += received
                if not received:
                    return None
            yield from send(raw, self._answer(bytes(head)))
            yield from linger(raw)
        finally:
            raw.close()
        return None

    def _answer(self, head: bytes) -> bytes:
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        if len(head) > _MAX_HEAD or len(words) != len(("GET", "/", "HTTP/1.1")):
            return _format("400 Bad Request")
        method, path = words[0], words[1].partition("?")[0]
        if path != "/metrics" and path not in self._checks:
            return _format("404 Not Found")
        if method != "GET":
            return _format("405 Method Not Allowed")
        if path == "/metrics":
            return _format("200 OK", self._exposition(), CONTENT_TYPE_LATEST)
        trouble = self._checks[path]()
        text = json.dumps({"ok": trouble is None, "trouble": trouble}).encode()
        status = "200 OK" if trouble is None else "503 Service Unavailable"
        return _format(status, text, "application/json")

    def _exposition(self) -> bytes:
        """Rendered once for all requests of one iteration of the event loop."""
        if self._metrics[0] != self._accept_loop.iterations:
            self._metrics = (self._accept_loop.iterations, generate_latest(self._registry))
        return self._metrics[1]


def _format(status: str, body: bytes = b"", content_type: str = "text/plain") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("latin-1") + body
