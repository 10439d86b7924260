"""Non-blocking socket I/O as coroutines, so that one event loop serves many connections.

A coroutine is a generator: where it would block it yields the event that it waits for.
"""

import selectors
import socket
import ssl
from collections.abc import Callable, Generator

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

HandOff = Callable[[], None]
ConnectionCoroutine = Generator[int, None, HandOff | None]
"""Yields READ or WRITE, for the socket that it was given. Returns the hand-off, to be called once
the event loop has unregistered the socket, or None when it has closed it. OSError ends it as well;
closed from outside, it closes its socket."""
ConnectionHandler = Callable[[socket.socket, object], ConnectionCoroutine]

RECORD = 16_384
"""Bytes written at once: what one TLS record holds, so that a write is repeated as it was."""


def wanted(error: OSError) -> int:
    """The event that a non-blocking call waits for; raises any other error again."""
    if isinstance(error, ssl.SSLWantWriteError):
        return WRITE
    if isinstance(error, BlockingIOError | ssl.SSLWantReadError):
        return READ
    raise error


def receive(sock: socket.socket, limit: int = 4096) -> Generator[int, None, bytes]:
    """Wait for bytes and return them; none at the end of the stream."""
    while True:
        try:
            return sock.recv(limit)
        except OSError as error:
            yield wanted(error)


def send(sock: socket.socket, data: bytes) -> Generator[int, None, None]:
    """Send all of it."""
    rest = data
    while rest:
        try:
            rest = rest[sock.send(rest[:RECORD]) :]
        except BlockingIOError:
            yield WRITE
        except OSError as error:
            yield wanted(error)


def linger(sock: socket.socket) -> Generator[int, None, None]:
    """Shut down our side, and read on until the peer closes its own.

    Closed with bytes unread, a connection is reset, and the peer may lose our answer.
    """
    sock.shutdown(socket.SHUT_WR)
    while (yield from receive(sock)):
        pass
