"""Authenticated connections, and the thread pool that answers their requests.

A thread has a connection only while a whole request is there; one selector waits for all else, with
a timeout for each state. The thread that has just answered waits briefly for the next request:
kube-scheduler sends one request after another on one connection, and handing it back and forth
costs several times what a short response costs.
"""

import logging
import select
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from k40s.http.connections.http_connection import HttpConnection, PeerClosedError, State
from k40s.http.connections.nonblocking_io import READ, WRITE
from k40s.units import MonotonicClock

_log = logging.getLogger(__name__)

LIMITS = {
    State.IDLE: 120.0,
    State.HEAD: 5.0,
    State.BODY: 10.0,
    State.RESPONSE: 10.0,
    State.CLOSING: 2.0,
}
"""Seconds. An idle connection is kept above Go's own 90 s, so that it is never the server that
closes first: the scheduler does not repeat a POST that met a closing connection."""

_KEEP_S = 0.05
"""Seconds that a thread waits for the next request, or the rest of one."""
_BODIES_PER_THREAD = 4
_REQUEUE = READ | WRITE
"""No event to wait for; the other ready connections come first."""
_NEW = -1
"""A connection that no thread has had yet."""
_TAKEN = -2
"""A connection that the application has taken over: its response is whatever that sends."""

RequestHandler = Callable[[bytes, HttpConnection], tuple[bytes, bool]]
"""From a whole request to a whole response, and whether the connection may be kept."""


class WorkerPool:
    """The thread that calls ``run_once`` owns the connections; all others only queue them."""

    def __init__(
        self,
        handle: RequestHandler,
        *,
        threads: int,
        limit: int,
        max_body: int,
        clock: MonotonicClock = time.monotonic,
        keep: float = _KEEP_S,
    ) -> None:
        self._handle = handle
        self._limit = limit
        self._most_bodies = threads * _BODIES_PER_THREAD
        self._max_body = max_body
        self._clock = clock
        self._keep = keep
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="call")
        self._waiting = threading.BoundedSemaphore(max(1, threads // 2))
        self._selector = selectors.DefaultSelector()
        self._wake, self._waker = socket.socketpair()
        self._wake.settimeout(0)
        self._waker.settimeout(0)
        self._selector.register(self._wake, READ)
        self._returned: deque[tuple[HttpConnection, int]] = deque()
        self._polled: dict[HttpConnection, None] = {}
        self._busy = 0
        self._lock = threading.Lock()
        self._queued = 0
        self._drain_until: float | None = None

    def __len__(self) -> int:
        new = sum(wants == _NEW for _, wants in self._returned.copy())
        return len(self._polled) + self._busy + new

    @property
    def is_idle(self) -> bool:
        """Whether no thread has a connection, and none is queued."""
        return not self._busy and not self._returned

    def add(self, sock: socket.socket, address: object) -> None:
        """Add the connection of an authenticated client. Any thread may call this."""
        connection = HttpConnection(
            sock,
            address,
            max_body=self._max_body,
            limits=LIMITS.__getitem__,
            clock=self._clock,
        )
        self._return(connection, _NEW)

    def wake(self) -> None:
        """Have ``run_once`` return."""
        with suppress(OSError):  # full: it wakes anyway; closed: nobody waits
            self._waker.send(b"x")

    def run_once(self, timeout: float) -> None:
        """One iteration: wait for events, at most so many seconds, then dispatch and expire."""
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._wake:
                self._clear_wakeups()
            else:
                self._stop_polling(key.data)
                self._submit(key.data)
        while self._returned:
            connection, wants = self._returned.popleft()
            self._take_back(connection, wants)
        now = self._clock()
        for connection in [one for one in self._polled if self._deadline_of(one) <= now]:
            self._close(connection)

    def drain(self, until: float) -> None:
        """Close each connection after its response, and idle ones at that time."""
        self._drain_until = until

    def close(self) -> None:
        """Close all that are left; a thread that still answers keeps its own until it is done."""
        for connection in list(self._polled):
            self._close(connection)
        self._threads.shutdown(wait=False)
        while self._returned:
            connection, wants = self._returned.popleft()
            if wants != _TAKEN:
                connection.close()
        for closed in (self._selector, self._wake, self._waker):
            closed.close()

    def _take_back(self, connection: HttpConnection, wants: int) -> None:
        """Handles a connection that a thread has returned, or a new one."""
        if wants == _NEW:
            self._evict()
            self._submit(connection)
            return
        self._busy -= 1
        if wants == _TAKEN:
            return
        if wants == _REQUEUE:
            self._submit(connection)
            return
        if not wants:
            connection.close()
            return
        try:
            self._selector.register(connection.sock, wants, connection)
        except (OSError, ValueError):
            connection.close()
            return
        self._polled[connection] = None
        if connection.state is State.BODY:
            bodies = [one for one in self._polled if one.state is State.BODY]
            if len(bodies) > self._most_bodies:
                self._close(min(bodies, key=lambda one: one.since))

    def _evict(self) -> None:
        if len(self) < self._limit or not self._polled:
            return
        longest = min(self._polled, key=lambda one: (one.state is not State.IDLE, one.since))
        self._close(longest)
        _log.warning("too many authenticated connections", extra={"kept": len(self)})

    def _deadline_of(self, connection: HttpConnection) -> float:
        if self._drain_until is None or connection.state is not State.IDLE:
            return connection.deadline
        return min(connection.deadline, self._drain_until)

    def _submit(self, connection: HttpConnection) -> None:
        self._busy += 1
        with self._lock:
            self._queued += 1
        self._threads.submit(self._serve, connection)

    def _serve(self, connection: HttpConnection) -> None:
        """Runs in a thread."""
        with self._lock:
            self._queued -= 1
        wants = 0
        try:
            wants = self._serve_requests(connection)
        except (OSError, PeerClosedError):
            pass  # the client has closed
        except Exception:  # noqa: BLE001  # nobody reads the future of a pool's thread
            _log.exception("connection failed")
        self._return(connection, wants)

    def _serve_requests(self, connection: HttpConnection) -> int:
        """Answer requests; returns the event to wait for, 0 when there is no more."""
        until = self._clock() + self._keep
        answered = False
        while True:
            if not connection.flush():
                return WRITE
            if answered and self._queued and connection.has_input:
                return _REQUEUE
            request = connection.next_request()
            if request is not None:
                response, keep = self._handle(request, connection)
                if connection.taker is not None:
                    connection.taker(connection.sock)
                    return _TAKEN
                connection.respond(response, keep=keep)
                until = self._clock() + self._keep
                answered = True
            elif not connection.has_unsent:
                wants = connection.receive()
                if wants and not self._more_arrives(connection, until):
                    return wants

    def _more_arrives(self, connection: HttpConnection, until: float) -> bool:
        """Whether input arrives by then; half of the threads never wait for it."""
        left = until - self._clock()
        if left <= 0 or self._queued or self._drain_until is not None:
            return False
        if connection.state is State.CLOSING or not self._waiting.acquire(blocking=False):
            return False
        try:
            poller = select.poll()
            poller.register(connection.sock, select.POLLIN)
            return bool(poller.poll(left * 1000))
        finally:
            self._waiting.release()

    def _return(self, connection: HttpConnection, wants: int) -> None:
        self._returned.append((connection, wants))
        self.wake()

    def _clear_wakeups(self) -> None:
        try:
            while self._wake.recv(4096):
                pass
        except BlockingIOError:
            return

    def _stop_polling(self, connection: HttpConnection) -> None:
        self._selector.unregister(connection.sock)
        del self._polled[connection]

    def _close(self, connection: HttpConnection) -> None:
        self._stop_polling(connection)
        connection.close()
