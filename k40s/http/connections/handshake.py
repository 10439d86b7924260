"""TLS handshake and client authentication, before a connection takes a thread of the pool."""

import json
import socket
import ssl
from collections.abc import Callable, Generator
from typing import Any

from k40s.http.connections.nonblocking_io import (
    READ,
    ConnectionCoroutine,
    ConnectionHandler,
    linger,
    receive,
    send,
    wanted,
)

OnAuthenticated = Callable[[socket.socket, object], None]
"""Takes over the connection of an authenticated client, with the peer's address."""

_HANDSHAKE = b"\x16"
"""The first byte of a TLS connection (RFC 8446, section 5.1)."""
_LONGEST_HEAD = 32_768
_FORBIDDEN = "this client may not call this"


def authenticate_by_tls(
    context: Callable[[], ssl.SSLContext],
    allowed: frozenset[str] | None,
    on_authenticated: OnAuthenticated,
) -> ConnectionHandler:
    """Handshake; a client whose certificate has an allowed name is authenticated.

    A client of our authority that is not on the list is answered 403. With None every client is
    taken that completes the handshake.
    """

    def handle(raw: socket.socket, address: object) -> ConnectionCoroutine:
        connection = raw
        handed_off = False
        try:
            yield READ  # a silent client, or one without TLS, costs no TLS state
            if raw.recv(1, socket.MSG_PEEK) != _HANDSHAKE:
                return None
            connection = context().wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
            try:
                yield from _handshake(connection)
            except ssl.SSLError:
                yield from linger(connection)  # so that the alert arrives
                return None
            if allowed is not None and peer_name(connection) not in allowed:
                yield from _refuse(connection)
                return None
            handed_off = True
            return lambda: on_authenticated(connection, address)
        finally:
            if not handed_off:
                connection.close()

    return handle


def accept_plain(on_authenticated: OnAuthenticated) -> ConnectionHandler:
    """Take every client that sends something as authenticated: for servers without TLS."""

    def handle(raw: socket.socket, address: object) -> ConnectionCoroutine:
        handed_off = False
        try:
            yield READ
            handed_off = True
            return lambda: on_authenticated(raw, address)
        finally:
            if not handed_off:
                raw.close()

    return handle


def peer_name(connection: Any) -> str | None:  # noqa: ANN401  # whatever the environment holds
    """The one common name of the certificate that the peer has proven to own, or None."""
    if not isinstance(connection, ssl.SSLSocket):
        return None
    certificate = connection.getpeercert() or {}
    subject: Any = certificate.get("subject", ())
    names = [value for rdn in subject for key, value in rdn if key == "commonName"]
    return names[0] if len(names) == 1 else None


def _handshake(connection: ssl.SSLSocket) -> Generator[int, None, None]:
    while True:
        try:
            connection.do_handshake()
        except OSError as error:
            yield wanted(error)
        else:
            return


def _refuse(connection: ssl.SSLSocket) -> Generator[int, None, None]:
    """Answer 403 once the head of the first request is there."""
    head = bytearray()
    while b"\r\n\r\n" not in head:
        received = yield from receive(connection)
        head += received
        if not received or len(head) > _LONGEST_HEAD:
            return
    yield from send(connection, format_refusal("403 Forbidden", _FORBIDDEN))
    yield from linger(connection)


def format_refusal(status: str, text: str) -> bytes:
    """A whole response, after which the connection is closed."""
    body = json.dumps({"error": text}).encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("latin-1") + body
