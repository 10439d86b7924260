"""Asking nodes whether they would admit a pod: all at once, and never beyond a moment in time.

kube-scheduler waits for the answer with every other pod behind it, so what is late is not waited
for, and a node that gave no answer is left alone for a while. An answer that is late is not lost:
it is there when the scheduler asks again, and so is the connection that was made for it.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Protocol

from extender.heartbeats import Clock
from k40s.errors import UnavailableError
from k40s.node_api import AdmissionAnswer, ReservationRequest
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

_log = logging.getLogger(__name__)

CALLS_AT_ONCE = 32
"""Bounds threads; more nodes than that take turns, as handshakes all at once would all be late."""
CALL_TIMEOUT = Nanoseconds(NS_PER_S)
"""Ends a call for whose answer nobody waits any more."""
REST = Nanoseconds(5 * NS_PER_S)
"""A node that gave no answer is not asked for so long, nor while it still owes one. Each time that
it gives none again, it rests twice as long."""
LONGEST_REST = Nanoseconds(40 * NS_PER_S)
DOUBT = 2
"""So many times in a row without an answer make a node doubtful."""
TRIALS = CALLS_AT_ONCE // 4
"""Threads at once for doubtful nodes: the others are for those that answer."""

GRACE = Nanoseconds(100 * NS_PER_MS)
"""How long a question waits for those once all others have answered; what is later is kept."""

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
        self._failures: dict[str, int] = {}
        self._owing: set[str] = set()
        self._trials: set[str] = set()

    def ask(
        self,
        endpoints: Mapping[str, str],
        request: ReservationRequest,
        deadline: int,
        late: Late,
    ) -> Collect:
        """Begin to ask the nodes, by name and endpoint; the result waits until the deadline."""
        now = self._clock()
        chosen = self._choose(endpoints, now) if now < deadline else []
        asked = {
            name: self._pool.submit(self._call, name, endpoints[name], request) for name in chosen
        }
        return lambda: self._collect(asked, deadline, late)

    def close(self) -> None:
        """Ask nobody any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _call(
        self, name: str, endpoint: str, request: ReservationRequest
    ) -> AdmissionAnswer | None:
        try:
            answer = self._nodes.judge(endpoint, request, timeout=CALL_TIMEOUT)
        except UnavailableError as error:
            _log.warning("node gave no answer", extra={"url": endpoint, "cause": str(error)})
            self._let_rest(name)
            return None
        else:
            with self._lock:
                self._failures.pop(name, None)
            return answer
        finally:
            with self._lock:
                self._trials.discard(name)

    def _collect(
        self,
        asked: Mapping[str, Future[AdmissionAnswer | None]],
        deadline: int,
        late: Late,
    ) -> Answers:
        with self._lock:
            tried = [future for name, future in asked.items() if self._is_doubtful(name)]
        wait(
            [future for future in asked.values() if future not in tried],
            timeout=max(deadline - self._clock(), 0) / NS_PER_S,
        )
        wait(tried, timeout=min(max(deadline - self._clock(), 0), GRACE) / NS_PER_S)
        answers: dict[str, AdmissionAnswer] = {}
        for name, future in asked.items():
            if not future.done():
                if future.cancel():
                    with self._lock:
                        self._trials.discard(name)
                else:  # it is the node that is slow: its turn had come
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
                self._failures.pop(name, None)
            late(name, answer)

    def _choose(self, names: Iterable[str], now: int) -> list[str]:
        """Whom to ask: those that answer before the few that are given another try."""
        with self._lock:
            awake = [
                name
                for name in names
                if name not in self._owing and self._resting.get(name, now) <= now
            ]
            doubtful = [name for name in awake if self._is_doubtful(name)]
            tried = [name for name in doubtful if name not in self._trials]
            tried.sort(key=lambda name: self._resting.get(name, now))  # who waits the longest
            tried = tried[: max(TRIALS - len(self._trials), 0)]
            self._trials.update(tried)
            return [name for name in awake if not self._is_doubtful(name)] + tried

    def _is_doubtful(self, name: str) -> bool:
        return self._failures.get(name, 0) >= DOUBT

    def _let_rest(self, name: str) -> None:
        """Once for each question: a call that is late may end in an error as well."""
        with self._lock:
            count = max(self._failures.get(name, 0) + (name not in self._owing), 1)
            self._failures[name] = count
            rest = min(self._rest << min(count - 1, 16), LONGEST_REST)
            self._resting[name] = self._clock() + rest
