"""A gunicorn thread worker for short answers to one question after another.

Its threads stay with a connection as long as it is busy, and a response is one write.

gunicorn's own hands a kept-alive connection back to its main loop after each response: two
thread switches, a poller's registration and a future per request, which under CPython's global
lock cost several times what a short answer costs. kube-scheduler asks one question after another
on one connection, so the thread that has just answered waits a moment for the next one. Head and
body of a response are two writes in gunicorn, which wake the peer twice.
"""

import select
import threading
import time
from functools import lru_cache
from typing import Any

from gunicorn.http.wsgi import Response, create
from gunicorn.util import http_date, to_bytestring
from gunicorn.workers.gthread import ThreadWorker

from k40s.units import NS_PER_S

_MOMENT_MS = 50
"""How long a thread waits for the next request; then the connection goes back to the main loop."""


class BusyConnectionWorker(ThreadWorker):
    """At most half of the threads wait like this, so that new connections find one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # gunicorn's own
        super().__init__(*args, **kwargs)
        self._waiting = threading.BoundedSemaphore(max(1, self.cfg.threads // 2))

    def handle(self, conn: Any) -> Any:  # noqa: ANN401  # gunicorn's own
        """Answer requests on a connection until it has been silent for a moment.

        Returns what gunicorn's own would: True to keep the connection, False to close it.
        """
        while True:
            kept = super().handle(conn)
            if kept is not True or not self.is_asked_again(conn):
                return kept

    def handle_request(self, req: Any, conn: Any) -> bool:  # noqa: ANN401  # gunicorn's own
        """Answer one request; returns whether the connection may be kept."""
        response, environ = create(
            req, conn.sock, conn.client, conn.server, self.cfg, OneWriteResponse
        )
        environ["wsgi.multithread"] = True
        if not self.alive or len(self.keepalived_conns) >= self.max_keepalived:
            response.force_close()
        body = self.wsgi(environ, response.start_response)  # type: ignore[arg-type]  # stub lacks exc_info
        try:
            for part in body:
                response.write(part)
            response.close()
        finally:
            if hasattr(body, "close"):
                body.close()
        return not response.should_close()

    def is_asked_again(self, conn: Any) -> bool:  # noqa: ANN401  # gunicorn's own
        """Whether the next request on a connection comes within a moment."""
        if not self.alive:
            return False
        if conn.parser.unreader.buf.getvalue():
            return True
        if not self._waiting.acquire(blocking=False):
            return False
        try:
            pending = getattr(conn.sock, "pending", None)
            if pending is not None and pending():
                return True
            poller = select.poll()
            poller.register(conn.sock, select.POLLIN)
            return bool(poller.poll(_MOMENT_MS))
        except (OSError, ValueError):
            return False
        finally:
            self._waiting.release()


class OneWriteResponse(Response):
    """Sends the head together with the first of the body."""

    _head = b""

    def default_headers(self) -> list[str]:
        """The first line, and what every response says."""
        major, minor = self.req.version or (1, 1)
        lines = [
            f"HTTP/{major}.{minor} {self.status}\r\n",
            f"Date: {_date(time.monotonic_ns() // NS_PER_S)}\r\n",
            f"Connection: {'close' if self.should_close() else 'keep-alive'}\r\n",
        ]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked\r\n")
        return lines

    def send_headers(self) -> None:
        """Make the head; it leaves with what is written next, or at the end."""
        if not self.headers_sent:
            lines = [*self.default_headers(), *(f"{k}: {v}\r\n" for k, v in self.headers)]
            self._head = to_bytestring("".join(lines) + "\r\n", "latin-1")
            self.headers_sent = True

    def close(self) -> None:
        """End the response."""
        self.send_headers()
        if self._head:
            self.sock.sendall(self._head)
            self._head = b""
        super().close()

    def _emit_body(self, data: bytes) -> None:
        if self.chunked:
            self.sock.sendall(self._head)
            super()._emit_body(data)  # type: ignore[misc]  # the stub lacks it
        else:
            self.sock.sendall(self._head + data)
        self._head = b""


@lru_cache(maxsize=1)
def _date(_second: int) -> str:
    """The date for the ``Date`` header, made once a second."""
    date: str = http_date()
    return date
