"""Asking nodes whether they would admit a pod: all at once, and never beyond a moment in time.

kube-scheduler waits for the answer with every other pod behind it, so what is late is not waited
for, and a node that gave no answer is left alone for a while. An answer that is late is not lost:
it is there when the scheduler asks again, and so is the connection that was made for it.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Protocol

from extender.heartbeats import Clock
from k40s.errors import UnavailableError
from k40s.node_api import AdmissionAnswer, ReservationRequest
from k40s.units import NS_PER_S, Nanoseconds

_log = logging.getLogger(__name__)

CALLS_AT_ONCE = 32
"""Bounds threads; more nodes than that take turns, as handshakes all at once would all be late."""
CALL_TIMEOUT = Nanoseconds(NS_PER_S)
"""Ends a call for whose answer nobody waits any more."""
REST = Nanoseconds(5 * NS_PER_S)
"""A node that gave no answer is not asked for so long, nor while it still owes one: a node whose
answers never end could otherwise occupy all threads, one after the other."""

Answers = Mapping[str, AdmissionAnswer]
"""By the node's name; one that gave no valid answer in time is missing."""
Collect = Callable[[], Answers]
Late = Callable[[str, AdmissionAnswer], object]
"""Takes an answer that came after the deadline, from another thread."""


class NodeAdmission(Protocol):
    """The node's own test, reached at the endpoint that the node publishes."""

    def judge(
        self, endpoint: str, request: ReservationRequest, *, timeout: Nanoseconds
    ) -> AdmissionAnswer:
        """What a reservation would be answered. Raises ``UnavailableError``."""


class Inquiry:
    """Asks nodes. Any thread may call."""

    def __init__(
        self,
        *,
        nodes: NodeAdmission,
        clock: Clock,
        calls: int = CALLS_AT_ONCE,
        rest: Nanoseconds = REST,
    ) -> None:
        self._nodes = nodes
        self._clock = clock
        self._rest = rest
        self._pool = ThreadPoolExecutor(calls, thread_name_prefix="inquiry")
        self._lock = threading.Lock()
        self._resting: dict[str, int] = {}
        self._owing: set[str] = set()

    def ask(
        self,
        endpoints: Mapping[str, str],
        request: ReservationRequest,
        deadline: int,
        late: Late,
    ) -> Collect:
        """Begin to ask the nodes, by name and endpoint; the result waits until the deadline."""
        now = self._clock()
        asked = {
            name: self._pool.submit(self._call, name, endpoint, request)
            for name, endpoint in endpoints.items()
            if now < deadline and not self._rests(name, now)
        }
        return lambda: self._collect(asked, deadline, late)

    def close(self) -> None:
        """Ask nobody any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _call(
        self, name: str, endpoint: str, request: ReservationRequest
    ) -> AdmissionAnswer | None:
        try:
            return self._nodes.judge(endpoint, request, timeout=CALL_TIMEOUT)
        except UnavailableError as error:
            _log.warning("node gave no answer", extra={"url": endpoint, "cause": str(error)})
            self._let_rest(name)
            return None

    def _collect(
        self,
        asked: Mapping[str, Future[AdmissionAnswer | None]],
        deadline: int,
        late: Late,
    ) -> Answers:
        wait(asked.values(), timeout=max(deadline - self._clock(), 0) / NS_PER_S)
        answers: dict[str, AdmissionAnswer] = {}
        for name, future in asked.items():
            if not future.done():
                if not future.cancel():  # it is the node that is slow: its turn had come
                    self._let_rest(name)
                    with self._lock:
                        self._owing.add(name)
                    future.add_done_callback(partial(self._arrive, name, late))
                continue
            answer = future.result()
            if answer is not None:
                answers[name] = answer
        return answers

    def _arrive(self, name: str, late: Late, future: Future[AdmissionAnswer | None]) -> None:
        with self._lock:
            self._owing.discard(name)
        answer = None if future.cancelled() else future.result()
        if answer is not None:
            with self._lock:
                self._resting.pop(name, None)
            late(name, answer)

    def _rests(self, name: str, now: int) -> bool:
        with self._lock:
            return name in self._owing or self._resting.get(name, now) > now

    def _let_rest(self, name: str) -> None:
        with self._lock:
            self._resting[name] = self._clock() + self._rest
