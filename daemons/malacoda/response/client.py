"""The monitor's connection to the actuator. Every call has a limit in time."""

import socket
import time
from pathlib import Path

from daemons.malacoda.actuator.protocol import (
    MOST_ANSWER,
    Answer,
    Request,
    format_request,
    parse_answer,
)
from k40s.errors import InvalidInputError, UnavailableError
from k40s.units import MonotonicClock

_CHUNK = 4096
_SECONDS = 2.0


class ActuatorClient:
    """One connection, made when it is needed. Not for several threads."""

    def __init__(
        self, path: Path, *, seconds: float = _SECONDS, clock: MonotonicClock = time.monotonic
    ) -> None:
        """``seconds`` is the limit of one call."""
        self._path = path
        self._seconds = seconds
        self._clock = clock
        self._socket: socket.socket | None = None

    def ask(self, request: Request) -> Answer:
        """Send a request and wait for its answer.

        Raises ``UnavailableError`` where there is no intelligible answer in time. Then the
        connection is closed, upon which the actuator undoes everything.
        """
        end = self._clock() + self._seconds
        try:
            connection = self._connect()
            connection.settimeout(self._seconds)
            connection.sendall(format_request(request))
            return parse_answer(self._line(connection, end))
        except (OSError, InvalidInputError) as error:
            self.close()
            raise UnavailableError(f"actuator at {self._path}: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> socket.socket:
        if self._socket is None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            connection.settimeout(self._seconds)
            try:
                connection.connect(str(self._path))
            except OSError:
                connection.close()
                raise
            self._socket = connection
        return self._socket

    def _line(self, connection: socket.socket, end: float) -> bytes:
        text = b""
        while not text.endswith(b"\n"):
            left = end - self._clock()
            if left <= 0:
                raise TimeoutError("no answer in time")
            connection.settimeout(left)
            chunk = connection.recv(_CHUNK)
            if not chunk:
                raise ConnectionError("it has closed the connection")
            text += chunk
            if len(text) > MOST_ANSWER:
                raise ConnectionError("its answer is too long")
        return text
