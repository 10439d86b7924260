"""Asking nodes whether they would admit a pod: all at once, and never beyond a moment in time.

kube-scheduler waits for the answer with every other pod behind it, so what is late is not waited
for, and a node that gave no answer is left alone for a while.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Protocol

from extender.heartbeats import Clock
from k40s.errors import UnavailableError
from k40s.node_api import AdmissionAnswer, ReservationRequest
from k40s.units import NS_PER_S, Nanoseconds

_log = logging.getLogger(__name__)

CALLS_AT_ONCE = 64
"""Bounds threads and connections; more nodes than that take turns."""
REST = Nanoseconds(5 * NS_PER_S)
"""A node that gave no answer is not asked for so long."""

Answers = Mapping[str, AdmissionAnswer]
"""By the node's name; one that gave no valid answer in time is missing."""
Collect = Callable[[], Answers]


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

    def ask(
        self, endpoints: Mapping[str, str], request: ReservationRequest, deadline: int
    ) -> Collect:
        """Begin to ask the nodes, by name and endpoint; the result waits until the deadline."""
        now = self._clock()
        asked = {
            name: self._pool.submit(self._call, endpoint, request, deadline)
            for name, endpoint in endpoints.items()
            if now < deadline and not self._rests(endpoint, now)
        }
        return lambda: self._collect(endpoints, asked, deadline)

    def close(self) -> None:
        """Ask nobody any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _call(
        self, endpoint: str, request: ReservationRequest, deadline: int
    ) -> AdmissionAnswer | None:
        left = deadline - self._clock()
        try:
            answer = self._nodes.judge(endpoint, request, timeout=Nanoseconds(max(left, 1)))
        except UnavailableError as error:
            _log.warning("node gave no answer", extra={"url": endpoint, "cause": str(error)})
            self._let_rest(endpoint)
            return None
        with self._lock:  # also one that came too late to be of use ends the rest
            self._resting.pop(endpoint, None)
        return answer

    def _collect(
        self,
        endpoints: Mapping[str, str],
        asked: Mapping[str, Future[AdmissionAnswer | None]],
        deadline: int,
    ) -> Answers:
        wait(asked.values(), timeout=max(deadline - self._clock(), 0) / NS_PER_S)
        answers: dict[str, AdmissionAnswer] = {}
        for name, future in asked.items():
            if not future.done():
                if not future.cancel():  # it is the node that is slow: its turn had come
                    self._let_rest(endpoints[name])
                continue
            answer = future.result()
            if answer is not None:
                answers[name] = answer
        return answers

    def _rests(self, endpoint: str, now: int) -> bool:
        with self._lock:
            return self._resting.get(endpoint, now) > now

    def _let_rest(self, endpoint: str) -> None:
        with self._lock:
            self._resting[endpoint] = self._clock() + self._rest
