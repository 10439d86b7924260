"""Responses that never end, from one thread: a stream costs a socket, and no thread of the pool.

A client that takes its bytes slowly misses what is replaced meanwhile: of what has not begun to be
sent, each stream keeps the newest message alone.
"""

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from k40s.http.connections.nonblocking_io import READ, RECORD, WRITE, wanted
from k40s.units import MonotonicClock

_log = logging.getLogger(__name__)

_STUCK_S = 30.0
"""A client that takes not a byte for so long has gone."""


class Stream:
    """One client. ``send`` and ``end`` may be called by any thread."""

    def __init__(
        self,
        sock: socket.socket,
        head: bytes,
        *,
        idle: bytes,
        wake: Callable[[], None],
        on_end: Callable[[], None],
        now: float,
    ) -> None:
        self.sock = sock
        self.idle = idle
        self.since = now
        """When the last byte was taken."""
        self.wants = READ
        self.on_end = on_end
        self.ended = False
        self._wake = wake
        self._lock = threading.Lock()
        self._sending = memoryview(head)
        self._next: bytes | None = None

    def send(self, message: bytes) -> None:
        """Send this next, instead of what waits to be sent."""
        with self._lock:
            self._next = message
        self._wake()

    def end(self) -> None:
        """Close it."""
        self.ended = True
        self._wake()

    def flush(self, now: float) -> int:
        """Send what the socket takes; returns the events to wait for."""
        while self._begin():
            try:
                sent = self.sock.send(self._sending[:RECORD])
            except BlockingIOError:
                return READ | WRITE
            except OSError as error:
                return READ | wanted(error)
            self._sending = self._sending[sent:]
            self.since = now
        return READ

    @property
    def has_unsent(self) -> bool:
        """Whether the client has not taken all."""
        return bool(self._sending) or self._next is not None

    def _begin(self) -> bool:
        """Whether there is something to send."""
        with self._lock:
            if not self._sending and self._next is not None:
                self._sending, self._next = memoryview(self._next), None
            return bool(self._sending)


class StreamLoop:
    """Owns the sockets of all streams. The number of streams is bounded by who adds them."""

    def __init__(self, *, silence: float, clock: MonotonicClock = time.monotonic) -> None:
        """After ``silence`` seconds without a message a stream is sent its idle one."""
        self._silence = silence
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._ours, self._waker = socket.socketpair()
        self._ours.settimeout(0)
        self._waker.settimeout(0)
        self._selector.register(self._ours, READ)
        self._new: list[Stream] = []
        self._streams: set[Stream] = set()
        self._lock = threading.Lock()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="streams", daemon=True)

    def __len__(self) -> int:
        return len(self._streams)

    def start(self) -> None:
        """Serve in a daemon thread."""
        self._thread.start()

    def stop(self) -> None:
        """End all streams, and the thread."""
        self._stopping = True
        self.wake()
        if self._thread.is_alive():
            self._thread.join()
        self.close()

    def add(
        self, sock: socket.socket, head: bytes, *, idle: bytes, on_end: Callable[[], None]
    ) -> Stream:
        """Begin a response with ``head``, over a non-blocking socket.

        ``on_end`` is called once, in the loop's thread.
        """
        stream = Stream(sock, head, idle=idle, wake=self.wake, on_end=on_end, now=self._clock())
        with self._lock:
            self._new.append(stream)
        self.wake()
        return stream

    def wake(self) -> None:
        """Have ``run_once`` look at all streams."""
        with suppress(OSError):  # full: it wakes anyway; closed: nobody waits
            self._waker.send(b"x")

    def run_once(self, timeout: float) -> None:
        """One iteration: wait for events, at most so many seconds, then read, send and expire."""
        woken = False
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._ours:
                woken = True
                self._clear_wakeups()
            elif not self._read(key.data):
                self._close(key.data)
            else:
                self._flush(key.data)
        if woken:
            with self._lock:
                new, self._new = self._new, []
            for stream in new:
                self._selector.register(stream.sock, READ, stream)
                self._streams.add(stream)
            for stream in list(self._streams):
                self._flush(stream)
        self._expire()

    def close(self) -> None:
        """Close everything, when no thread runs."""
        for stream in list(self._streams):
            self._close(stream)
        for stream in self._new:
            stream.sock.close()
            stream.on_end()
        for closed in (self._selector, self._ours, self._waker):
            closed.close()

    def _run(self) -> None:
        while not self._stopping:
            try:
                self.run_once(1.0)
            except Exception:  # noqa: BLE001  # one stream must not end the thread that serves all
                _log.exception("streams failed")

    def _read(self, stream: Stream) -> bool:
        """Drop what the client sends; returns whether it is still there."""
        try:
            while True:
                if not stream.sock.recv(RECORD):
                    return False
        except OSError as error:
            try:
                wanted(error)
            except OSError:
                return False
            return True

    def _flush(self, stream: Stream) -> None:
        if stream.ended:
            self._close(stream)
            return
        try:
            wants = stream.flush(self._clock())
        except OSError:
            self._close(stream)
            return
        if wants != stream.wants:
            self._selector.modify(stream.sock, wants, stream)
            stream.wants = wants

    def _expire(self) -> None:
        now = self._clock()
        for stream in list(self._streams):
            if stream.has_unsent:
                if now - stream.since >= _STUCK_S:
                    self._close(stream)
            elif now - stream.since >= self._silence:
                stream.send(stream.idle)
                self._flush(stream)

    def _close(self, stream: Stream) -> None:
        if stream not in self._streams:
            return
        self._streams.discard(stream)
        self._selector.unregister(stream.sock)
        stream.sock.close()
        stream.on_end()

    def _clear_wakeups(self) -> None:
        with suppress(BlockingIOError):
            while self._ours.recv(4096):
                pass
