"""An authenticated HTTP/1.1 connection: input buffer, framing, states, non-blocking output."""

import socket
from collections.abc import Callable
from enum import Enum

from k40s.http.connections.framing import RequestError, RequestFrame
from k40s.http.connections.handshake import format_refusal
from k40s.http.connections.nonblocking_io import RECORD, wanted
from k40s.units import MonotonicClock

_READ_AT_ONCE = 65_536
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class State(Enum):
    """What a connection waits for."""

    IDLE = "idle"
    """The next request."""
    HEAD = "head"
    """The rest of a request's head."""
    BODY = "body"
    """The rest of a request's body."""
    RESPONSE = "response"
    """The client, to take its response."""
    CLOSING = "closing"
    """The client, to close its side as we have closed ours."""


class PeerClosedError(Exception):
    """The client has closed the connection."""


TakeOver = Callable[[socket.socket], None]
"""Takes over a connection's non-blocking socket, which nobody else uses from then on."""


class HttpConnection:
    """Used by one thread at a time. Methods raise ``OSError`` when the connection is broken."""

    def __init__(
        self,
        sock: socket.socket,
        address: object,
        *,
        max_body: int,
        limits: Callable[[State], float],
        clock: MonotonicClock,
    ) -> None:
        """``limits`` says how many seconds a state may last."""
        self.sock = sock
        self.address = address
        self.state = State.IDLE
        self.taker: TakeOver | None = None
        """Who takes the connection over instead of the response, such as a stream."""
        self._max_body = max_body
        self._limits = limits
        self._clock = clock
        self._received = bytearray()
        self._unsent = memoryview(b"")
        self._closing = False
        self._frame = RequestFrame(max_body=max_body)
        self.since = clock()
        """When the state began."""

    @property
    def deadline(self) -> float:
        """When the state must be over."""
        return self.since + self._limits(self.state)

    @property
    def has_input(self) -> bool:
        """Whether bytes of another request are buffered."""
        return bool(self._received)

    @property
    def has_unsent(self) -> bool:
        """Whether something is still to be sent."""
        return bool(self._unsent)

    def next_request(self) -> bytes | None:
        """Take a whole request from the input buffer; None while there is none."""
        if self._closing:
            self._received.clear()
            return None
        try:
            end = self._frame.end(self._received) if self._received else None
        except RequestError as refused:
            self.respond(format_refusal(refused.status, refused.text), keep=False)
            return None
        if end is None:
            if self._frame.has_head and self._frame.expects_continue:
                self._frame.expects_continue = False
                self._unsent = memoryview(_CONTINUE)
            self._update_state()
            return None
        request = bytes(memoryview(self._received)[:end])
        del self._received[:end]
        self._frame = RequestFrame(max_body=self._max_body)
        self._begin(State.RESPONSE)
        return request

    def receive(self) -> int:
        """Read what is there; returns the event to wait for, 0 when something came.

        Raises ``PeerClosedError`` at the end of the stream.
        """
        try:
            received = self.sock.recv(_READ_AT_ONCE)
        except OSError as error:
            return wanted(error)
        if not received:
            raise PeerClosedError
        self._received += received
        return 0

    def respond(self, response: bytes, *, keep: bool) -> None:
        """Queue this response; without ``keep`` it is the last."""
        self._unsent = memoryview(response)
        self._closing = not keep
        self._begin(State.RESPONSE)

    def flush(self) -> bool:
        """Send what the socket takes at once; returns whether that was all."""
        while self._unsent:
            try:
                sent = self.sock.send(self._unsent[:RECORD])
            except BlockingIOError:
                return False
            except OSError as error:
                wanted(error)
                return False
            self._unsent = self._unsent[sent:]
        if self._closing and self.state is not State.CLOSING:
            self._begin(State.CLOSING)
            self.sock.shutdown(socket.SHUT_WR)
        return True

    def close(self) -> None:
        """Close it at once."""
        self.sock.close()

    def _update_state(self) -> None:
        if self._frame.has_head:
            self._enter(State.BODY)
        else:
            self._enter(State.HEAD if self._received else State.IDLE)

    def _enter(self, state: State) -> None:
        if state is not self.state:
            self._begin(state)

    def _begin(self, state: State) -> None:
        self.state = state
        self.since = self._clock()
