"""One event loop, in a thread, for all connections that are not authenticated yet.

Each connection has a coroutine, which yields the event that it waits for. No connection blocks the
thread, and the number of connections and the time of each are bounded.
"""

import errno
import logging
import selectors
import socket
import threading
import time
from collections.abc import Iterable
from typing import Protocol

from k40s.http.connections.eviction import ConnectionTable, source_of
from k40s.http.connections.nonblocking_io import (
    READ,
    ConnectionCoroutine,
    ConnectionHandler,
    HandOff,
)
from k40s.units import MonotonicClock

_log = logging.getLogger(__name__)

_ACCEPTED_AT_ONCE = 64
_STEPS_AT_ONCE = 32
_PAUSE_S = 0.1
_LOG_EVERY_S = 10.0
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Listener(Protocol):
    """A listening, non-blocking socket."""

    def accept(self) -> tuple[socket.socket, object]:
        """Return a connection and its peer's address, or raise ``OSError``."""

    def fileno(self) -> int:
        """What a selector waits for."""


class _Pending:
    """Compared by identity."""

    def __init__(
        self, fd: int, coroutine: ConnectionCoroutine, source: str, deadline: float
    ) -> None:
        self.fd = fd
        self.coroutine = coroutine
        self.source = source
        self.deadline = deadline
        self.wants = 0


class AcceptLoop:
    """Accepts connections, and runs the coroutine of each."""

    def __init__(
        self,
        listeners: Iterable[Listener],
        handler: ConnectionHandler,
        *,
        name: str,
        limit: int,
        timeout: float,
        clock: MonotonicClock = time.monotonic,
    ) -> None:
        """``timeout`` bounds a connection's whole time here, in seconds; ``limit`` their number."""
        self._listeners = list(listeners)
        self._handler = handler
        self._timeout_s = timeout
        self._clock = clock
        self._table: ConnectionTable[_Pending] = ConnectionTable(limit)
        self._selector = selectors.DefaultSelector()
        self._wake, self._waker = socket.socketpair()
        self._waker.settimeout(0)
        self._selector.register(self._wake, READ)
        self._paused_until: float | None = None
        self._listening = False
        self._logged = float("-inf")
        self._unlogged = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.iterations = 0
        """Of the event loop, so far."""

    def __len__(self) -> int:
        return len(self._table)

    def start(self) -> None:
        """Begin to accept, in a daemon thread. Call it after a fork."""
        self.start_accepting()
        self._thread.start()

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End the thread and close its connections; the listeners are the caller's."""
        self._stopping = True
        self._waker.send(b"x")
        self._thread.join()
        self.close()

    def start_accepting(self) -> None:
        """Register the listeners; ``run_once`` then does the rest."""
        self._set_accepting(on=True)

    def close(self) -> None:
        """Close the connections and the selector, when no thread runs."""
        while (pending := self._table.oldest()) is not None:
            self._table.remove(pending)
            self._close(pending)
        self._selector.close()
        self._wake.close()
        self._waker.close()

    def _run(self) -> None:
        while not self._stopping:
            self.run_once()

    def run_once(self) -> None:
        """One iteration: wait for events, then accept, step and expire connections."""
        events = self._selector.select(self._wait_time())
        self.iterations += 1
        waiting: list[_Pending] = []
        for key, _ in events:
            if isinstance(key.data, _Pending):
                waiting.append(key.data)
            elif key.fileobj is not self._wake:
                self._accept(key.data)
        present = [pending for pending in waiting if pending in self._table]
        for pending in sorted(present, key=self._table.order)[:_STEPS_AT_ONCE]:
            self._step(pending)
        now = self._clock()
        while (oldest := self._table.oldest()) is not None and oldest.deadline <= now:
            self._table.remove(oldest)
            self._close(oldest)
        if self._paused_until is not None and self._paused_until <= now:
            self._paused_until = None
            self._set_accepting(on=True)

    def _wait_time(self) -> float:
        oldest = self._table.oldest()
        ends = [self._clock() + 1.0]
        ends += [] if oldest is None else [oldest.deadline]
        ends += [] if self._paused_until is None else [self._paused_until]
        return max(0.0, min(ends) - self._clock())

    def _set_accepting(self, *, on: bool) -> None:
        for listener in self._listeners if on is not self._listening else ():
            if on:
                self._selector.register(listener.fileno(), READ, listener)
            else:
                self._selector.unregister(listener.fileno())
        self._listening = on

    def _accept(self, listener: Listener) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                raw, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _NO_DESCRIPTOR and not self._free_descriptor():
                    return
                continue
            self._admit(raw, address)

    def _free_descriptor(self) -> bool:
        """Without a free file descriptor, evict a connection; if there is none, pause accepting."""
        evicted = self._table.evict()
        if evicted is None:
            self._set_accepting(on=False)
            self._paused_until = self._clock() + _PAUSE_S
            self._log("no file descriptor left for a connection", "")
            return False
        self._close(evicted)
        self._log("no file descriptor left for a connection", evicted.source)
        return True

    def _admit(self, raw: socket.socket, address: object) -> None:
        raw.settimeout(0)
        source = source_of(address)
        coroutine = self._handler(raw, address)
        pending = _Pending(raw.fileno(), coroutine, source, self._clock() + self._timeout_s)
        evicted = self._table.add(pending, source)
        if evicted is not None:
            self._close(evicted)
            self._log("too many unauthenticated connections", evicted.source)
        self._step(pending)

    def _step(self, pending: _Pending) -> None:
        hand_off: HandOff | None = None
        try:
            wants = next(pending.coroutine)
        except StopIteration as end:
            hand_off = end.value
        except OSError:
            pass  # the peer has closed, or breaks the protocol
        except Exception:  # noqa: BLE001  # one peer must not end the thread that serves all
            _log.exception("connection handler failed")
        else:
            self._register(pending, wants)
            return
        self._table.remove(pending)
        self._unregister(pending)
        if hand_off is not None:
            hand_off()

    def _register(self, pending: _Pending, wants: int) -> None:
        if pending.wants == wants:
            return
        if pending.wants:
            self._selector.modify(pending.fd, wants, pending)
        else:
            self._selector.register(pending.fd, wants, pending)
        pending.wants = wants

    def _unregister(self, pending: _Pending) -> None:
        if pending.wants:
            self._selector.unregister(pending.fd)
            pending.wants = 0

    def _close(self, pending: _Pending) -> None:
        self._unregister(pending)
        pending.coroutine.close()

    def _log(self, what: str, source: str) -> None:
        self._unlogged += 1
        now = self._clock()
        if now - self._logged >= _LOG_EVERY_S:
            _log.warning(what, extra={"closed": self._unlogged, "source": source})
            self._logged, self._unlogged = now, 0
