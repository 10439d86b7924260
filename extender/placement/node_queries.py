"""Node queries: asks nodes' daemons for admission, all at once and with one deadline.

kube-scheduler waits for the answer with every other pod behind it, so late answers are not awaited,
and a node without an answer is not queried again until its back-off ends. A late answer is kept: it
is there when the scheduler retries, and so is the connection that was made for it.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Protocol

from k40s.node_api.client import DaemonError
from k40s.node_api.messages import AdmissionAnswer, ReservationRequest
from k40s.reasons import Reason
from k40s.units import NS_PER_MS, NS_PER_S, Clock, Nanoseconds

_log = logging.getLogger(__name__)

CALLS_AT_ONCE = 32
"""Bounds threads; further nodes wait, because that many handshakes at once would all be late."""
CALL_TIMEOUT = Nanoseconds(NS_PER_S)
"""Ends a call that nobody waits for any more."""
BACK_OFF = Nanoseconds(5 * NS_PER_S)
"""A node without an answer is not queried for so long, nor while a call to it is pending. Each
further failure doubles it."""
LONGEST_BACK_OFF = Nanoseconds(40 * NS_PER_S)
UNRELIABLE_AFTER = 2
"""So many failures in a row make a node unreliable."""
RETRIES = CALLS_AT_ONCE // 4
"""Threads at once for unreliable nodes; the others are for nodes that answer."""

GRACE = Nanoseconds(100 * NS_PER_MS)
"""How long a query waits for unreliable nodes once all others have answered."""

Answers = Mapping[str, AdmissionAnswer | Reason]
"""By node: its answer, or why there is none. A node whose turn did not come is missing; one that
backs off has the reason of its last failure."""
CollectAnswers = Callable[[], Answers]
"""Waits for the answers, until the deadline."""
TakeLateAnswer = Callable[[str, AdmissionAnswer], object]
"""Takes a node's answer that came after the deadline, from another thread."""


class NodeAdmission(Protocol):
    """Admission by a node's daemon, at the endpoint that the node publishes."""

    def query_admission(
        self, endpoint: str, request: ReservationRequest, *, timeout: Nanoseconds
    ) -> AdmissionAnswer:
        """The answer that a reservation would get. Raises ``DaemonError``."""


class NodeQueries:
    """Queries nodes. Any thread may call."""

    def __init__(
        self,
        *,
        nodes: NodeAdmission,
        clock: Clock,
        calls: int = CALLS_AT_ONCE,
        back_off: Nanoseconds = BACK_OFF,
    ) -> None:
        self._nodes = nodes
        self._clock = clock
        self._first_back_off = back_off
        self._pool = ThreadPoolExecutor(calls, thread_name_prefix="node-queries")
        self._lock = threading.Lock()
        self._backing_off: dict[str, int] = {}
        self._failures: dict[str, int] = {}
        self._causes: dict[str, Reason] = {}
        self._pending: set[str] = set()
        self._retried: set[str] = set()

    def ask(
        self,
        endpoints: Mapping[str, str],
        request: ReservationRequest,
        deadline: int,
        late: TakeLateAnswer,
    ) -> CollectAnswers:
        """Starts to query nodes, by name and endpoint; call the result to wait for the answers."""
        now = self._clock()
        chosen = self._choose(endpoints, now) if now < deadline else []
        asked = {
            name: self._pool.submit(self._call, name, endpoints[name], request) for name in chosen
        }
        unasked = [name for name in endpoints if name not in asked] if now < deadline else []
        return lambda: self._collect(asked, deadline, late) | self._last_failures(unasked)

    def close(self) -> None:
        """Ends all queries."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _call(
        self, name: str, endpoint: str, request: ReservationRequest
    ) -> AdmissionAnswer | Reason:
        try:
            answer = self._nodes.query_admission(endpoint, request, timeout=CALL_TIMEOUT)
        except DaemonError as error:
            _log.warning("node query failed", extra={"url": endpoint, "cause": str(error)})
            self._start_back_off(name, error.reason)
            return error.reason
        else:
            with self._lock:
                self._failures.pop(name, None)
                self._causes.pop(name, None)
            return answer
        finally:
            with self._lock:
                self._retried.discard(name)

    def _collect(
        self,
        asked: Mapping[str, Future[AdmissionAnswer | Reason]],
        deadline: int,
        late: TakeLateAnswer,
    ) -> dict[str, AdmissionAnswer | Reason]:
        with self._lock:
            tried = [future for name, future in asked.items() if self._is_unreliable(name)]
        wait(
            [future for future in asked.values() if future not in tried],
            timeout=max(deadline - self._clock(), 0) / NS_PER_S,
        )
        wait(tried, timeout=min(max(deadline - self._clock(), 0), GRACE) / NS_PER_S)
        answers: dict[str, AdmissionAnswer | Reason] = {}
        for name, future in asked.items():
            if not future.done():
                if future.cancel():
                    with self._lock:
                        self._retried.discard(name)
                else:  # the call is running, so it is the node that is slow
                    self._start_back_off(name, Reason.CPU_DAEMON_BUSY)
                    answers[name] = Reason.CPU_DAEMON_BUSY
                    with self._lock:
                        self._pending.add(name)
                    future.add_done_callback(partial(self._arrive, name, late))
                continue
            answers[name] = future.result()
        return answers

    def _last_failures(self, unasked: Iterable[str]) -> dict[str, AdmissionAnswer | Reason]:
        """The last failures of nodes that were not queried."""
        with self._lock:
            return {name: self._causes[name] for name in unasked if name in self._causes}

    def _arrive(
        self, name: str, late: TakeLateAnswer, future: Future[AdmissionAnswer | Reason]
    ) -> None:
        with self._lock:
            self._pending.discard(name)
        answer = Reason.CPU_NO_ANSWER if future.cancelled() else future.result()
        if not isinstance(answer, Reason):
            with self._lock:
                self._backing_off.pop(name, None)
                self._failures.pop(name, None)
                self._causes.pop(name, None)
            late(name, answer)

    def _choose(self, names: Iterable[str], now: int) -> list[str]:
        """The nodes to query: all reliable ones, and a few others whose back-off ended first."""
        with self._lock:
            ready = [
                name
                for name in names
                if name not in self._pending and self._backing_off.get(name, now) <= now
            ]
            unreliable = [name for name in ready if self._is_unreliable(name)]
            tried = [name for name in unreliable if name not in self._retried]
            tried.sort(key=lambda name: self._backing_off.get(name, now))  # whose ended first
            tried = tried[: max(RETRIES - len(self._retried), 0)]
            self._retried.update(tried)
            return [name for name in ready if not self._is_unreliable(name)] + tried

    def _is_unreliable(self, name: str) -> bool:
        return self._failures.get(name, 0) >= UNRELIABLE_AFTER

    def _start_back_off(self, name: str, cause: Reason) -> None:
        """Counts one failure for each query, although a late call may also end in an error."""
        with self._lock:
            count = max(self._failures.get(name, 0) + (name not in self._pending), 1)
            self._failures[name] = count
            self._causes[name] = cause
            back_off = min(self._first_back_off << min(count - 1, 16), LONGEST_BACK_OFF)
            self._backing_off[name] = self._clock() + back_off
