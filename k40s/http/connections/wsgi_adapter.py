"""Runs one whole request through gunicorn's parser and a WSGI application, to one response."""

import logging
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from gunicorn.http.errors import (
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.http.parser import RequestParser
from gunicorn.http.wsgi import Response, create
from gunicorn.util import http_date

from k40s.http.connections.handshake import format_refusal
from k40s.units import NS_PER_S

if TYPE_CHECKING:
    from socket import socket

    from k40s.http.connections.http_connection import TakeOver


_log = logging.getLogger(__name__)

_STATUS: dict[type[Exception], str] = {
    LimitRequestLine: "414 URI Too Long",
    LimitRequestHeaders: "431 Request Header Fields Too Large",
    UnsupportedTransferCoding: "501 Not Implemented",
    ExpectationFailed: "417 Expectation Failed",
}


TAKE_OVER = "k40s.take_over"
"""The environment's function that hands the connection over to what it is given, once the
application has returned; the application's response is then dropped."""


class ResponseBuffer:
    """Stands in for gunicorn's socket, and buffers the response."""

    def __init__(self) -> None:
        self.content = bytearray()

    def sendall(self, data: bytes) -> None:
        """Part of the response."""
        self.content += data

    def send(self, data: bytes) -> int:
        """100 Continue, which was sent before the body came."""
        return len(data)


class QuietResponse(Response):
    """Without a ``Server`` header, and with one date for each second."""

    def default_headers(self) -> list[str]:
        """The status line, and the headers of every response."""
        major, minor = self.req.version or (1, 1)
        lines = [
            f"HTTP/{major}.{minor} {self.status}\r\n",
            f"Date: {_date(time.monotonic_ns() // NS_PER_S)}\r\n",
            f"Connection: {'close' if self.should_close() else 'keep-alive'}\r\n",
        ]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked\r\n")
        return lines


@lru_cache(maxsize=1)
def _date(_second: int) -> str:
    """The date for the ``Date`` header."""
    date: str = http_date()
    return date


def handle_request(
    wsgi: Callable[..., Iterable[bytes]],
    config: Any,  # noqa: ANN401  # gunicorn's configuration
    request: bytes,
    sock: "socket",
    address: Any,  # noqa: ANN401  # as the system writes it
    *,
    keep: bool,
    on_taken: "Callable[[TakeOver], None] | None" = None,
) -> tuple[bytes, bool]:
    """Return the response, and whether the connection may be kept.

    ``on_taken`` is called by an application that takes the connection over. ``sock`` is what the
    application sees as its connection. An application that fails is answered for with 500, and
    logged with its trace.
    """
    try:
        return _handle_request(wsgi, config, request, sock, address, keep=keep, on_taken=on_taken)
    except ParseException as error:
        status = _STATUS.get(type(error), "400 Bad Request")
        return format_refusal(status, str(error)[:200]), False
    except Exception:  # noqa: BLE001  # a fault of the application is answered, and logged
        _log.exception("request failed")
        return format_refusal("500 Internal Server Error", "internal error"), False


def _handle_request(
    wsgi: Callable[..., Iterable[bytes]],
    config: Any,  # noqa: ANN401  # gunicorn's configuration
    request: bytes,
    sock: "socket",
    address: Any,  # noqa: ANN401  # as the system writes it
    *,
    keep: bool,
    on_taken: "Callable[[TakeOver], None] | None",
) -> tuple[bytes, bool]:
    buffer: Any = ResponseBuffer()
    parsed: Any = next(RequestParser(config, [request], address))
    response, environ = create(
        parsed, buffer, address, sock.getsockname(), config, response_class=QuietResponse
    )
    environ["gunicorn.socket"] = sock
    environ["wsgi.multithread"] = True
    if on_taken is not None:
        environ[TAKE_OVER] = on_taken
    if not keep:
        response.force_close()
    body = wsgi(environ, response.start_response)
    try:
        for part in body:
            response.write(part)
        response.close()
    finally:
        if hasattr(body, "close"):
            body.close()
    return bytes(buffer.content), not response.should_close()
