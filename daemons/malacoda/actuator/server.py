"""The actuator's socket: one peer, known by its user; and the undoing when that one is gone.

The monitor speaks after each of its samples. If it ends, the kernel closes its connection; if it
hangs, it falls silent. In both cases nobody judges the hazard any more, and every hold is undone.
"""

import contextlib
import logging
import os
import select
import socket
import struct
import time
from pathlib import Path

from daemons.malacoda.actuator.actuator import Actuator
from daemons.malacoda.actuator.protocol import (
    MOST_REQUEST,
    Answer,
    Refusal,
    Result,
    format_answer,
    parse_request,
)
from k40s.errors import InvalidInputError
from k40s.units import NS_PER_S, Clock, Nanoseconds

log = logging.getLogger(__name__)

_LOOK = NS_PER_S
_POLL_MS = 500
_SEND_SECONDS = 1.0
_CREDENTIALS = struct.Struct("3i")
_MODE = 0o660
"""For the socket's group: the monitor connects as a member of it."""


class Server:
    """``turn`` is called in a loop by one thread; it waits for half a second at most.

    ``peer`` is the user that may connect. ``silence`` is how long that one may say nothing.
    """

    def __init__(
        self,
        actuator: Actuator,
        *,
        path: Path,
        peer: int,
        silence: Nanoseconds,
        clock: Clock = time.monotonic_ns,
    ) -> None:
        """Raises ``OSError`` where the socket cannot be made."""
        self._actuator = actuator
        self._path = path
        self._peer_user = peer
        self._silence = silence
        self._clock = clock
        self._heard = clock()
        self._looked = clock()
        self._peer: socket.socket | None = None
        self._text = b""
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._listener.bind(str(path))
            path.chmod(_MODE)
            self._listener.listen(1)
        except OSError:
            self._listener.close()
            raise
        self._listener.settimeout(0)

    def turn(self, wait_ms: int = _POLL_MS) -> None:
        """Serve what is there, then look after the holds."""
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        if self._peer is not None:
            poll.register(self._peer, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(wait_ms)}
        if self._peer is not None and self._peer.fileno() in ready:
            self._read(self._peer)
        if self._listener.fileno() in ready:
            self._accept()
        now = self._clock()
        if now - self._heard >= self._silence and self._actuator.holds:
            self._actuator.undo_all("the monitor is silent")
        if now - self._looked >= _LOOK:
            self._looked = now
            self._actuator.look()
            with contextlib.suppress(OSError):
                os.utime(self._path)  # for the probe: the loop turns

    def close(self) -> None:
        """Close the socket and remove it."""
        self._drop("")
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        try:
            peer, _ = self._listener.accept()
        except OSError:
            return
        raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        process, user, _ = _CREDENTIALS.unpack(raw)
        if user != self._peer_user or self._peer is not None:
            why = "another user" if user != self._peer_user else "a monitor is connected already"
            log.warning("peer refused", extra={"pid": process, "uid": user, "reason": why})
            peer.close()
            return
        peer.settimeout(_SEND_SECONDS)
        self._peer = peer
        self._heard = self._clock()
        log.info("monitor connected", extra={"pid": process, "uid": user})

    def _read(self, peer: socket.socket) -> None:
        try:
            chunk = peer.recv(MOST_REQUEST)
        except OSError:
            chunk = b""
        if not chunk:
            self._drop("the monitor is gone")
            return
        self._text += chunk
        while self._peer is not None and b"\n" in self._text:
            line, _, self._text = self._text.partition(b"\n")
            self._serve(line)
        if len(self._text) > MOST_REQUEST:
            log.warning("request refused", extra={"reason": "the line is too long"})
            self._drop("the monitor sends no requests")

    def _serve(self, line: bytes) -> None:
        try:
            request = parse_request(line)
        except InvalidInputError as error:
            log.warning("request refused", extra={"reason": str(error)})
            answer = Answer(result=Result.REFUSED, reason=Refusal.INVALID.value, text=str(error))
        else:
            self._heard = self._clock()
            answer = self._actuator.answer(request)
        try:
            if self._peer is not None:
                self._peer.sendall(format_answer(answer))
        except OSError:
            self._drop("the monitor takes no answer")

    def _drop(self, why: str) -> None:
        if self._peer is None:
            return
        self._peer.close()
        self._peer, self._text = None, b""
        if why:
            log.warning("monitor disconnected", extra={"cause": why})
            self._actuator.undo_all(why)
