"""An installed schedulability test in a child process, which can be killed.

A thread cannot be killed, and a test is called under the lock of the node's book. The process is
kept between calls. When it is late, exits or breaks the protocol, it is killed and the pod is
refused; a later call starts a new process, after a back-off.
"""

import logging
import os
import sys
import threading
import time

from k40s.admission_plugins.line_process import LateError, LineProcess, NoLineError
from k40s.admission_plugins.protocol import MAX_TEXT, format_question, parse_outcome
from k40s.cpu.model import CpuNode, PodDemand
from k40s.cpu.outcome import Admission, Rejection
from k40s.errors import InvalidInputError
from k40s.reasons import Reason
from k40s.units import NS_PER_S, MonotonicClock, Nanoseconds, format_duration

log = logging.getLogger(__name__)

PATIENCE = Nanoseconds(2 * NS_PER_S)
"""How long a test may take for an answer, its process's start included."""
START_SECONDS = 30.0
"""How long a test may take to be imported."""
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Back-off in seconds before a failed test's process is started again."""
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ")


class IsolatedTest:
    """Called as ``admit(node, demand)``, by any thread. ``clock`` is monotonic, in seconds.

    The kernel ends the process with the thread that started it (``PR_SET_PDEATHSIG``): start and
    call from threads that stay.
    """

    def __init__(
        self,
        name: str,
        *,
        patience: Nanoseconds = PATIENCE,
        clock: MonotonicClock = time.monotonic,
    ) -> None:
        self._name = name
        self._patience = patience
        self._clock = clock
        self._lock = threading.Lock()
        self._process: LineProcess | None = None
        self._ready = False
        self._started = 0.0
        self._pause, self._pause_end = SHORTEST_PAUSE, 0.0

    def start(self) -> str:
        """Start the process; returns why the test cannot be used, empty where it can."""
        with self._lock:
            try:
                return self._read_ready_line(self._launch(), START_SECONDS)
            except (OSError, NoLineError) as error:
                self.close()
                return f"{self._name} to start ({error})"

    def __call__(self, node: CpuNode, demand: PodDemand) -> Admission | Rejection:
        """Run the test; without a valid answer in time the outcome is ``cpu.test-failed``."""
        seconds = self._patience / NS_PER_S
        if not self._lock.acquire(timeout=seconds):
            return self._refusal(f"others wait for it for {format_duration(self._patience)}")
        try:  # the wait is not held against the test
            now = self._clock()
            if self._process is None and now < self._pause_end:
                return self._refusal("it failed a moment ago, and is started again later")
            return self._answer(node, demand, now + seconds)
        finally:
            self._lock.release()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.close()
        self._process, self._ready = None, False

    def _answer(self, node: CpuNode, demand: PodDemand, end: float) -> Admission | Rejection:
        try:
            process = self._launch()
            if not self._ready and (fault := self._read_ready_line(process, end - self._clock())):
                return self._fail(fault)
            line = format_question(node, demand).encode() + b"\n"
            answer = process.ask(line, end - self._clock())
            outcome = parse_outcome(answer.decode(), node)
        except LateError:
            if not self._ready and self._clock() - self._started < START_SECONDS:
                return self._refusal("its process is still starting")
            return self._fail(f"it took longer than {format_duration(self._patience)}")
        except (NoLineError, OSError) as error:
            return self._fail(str(error))
        except (InvalidInputError, ValueError) as error:
            return self._fail(f"what it answers is not understood: {error}")
        self._pause = SHORTEST_PAUSE
        return outcome

    def _launch(self) -> LineProcess:
        if self._process is None:
            kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
            threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            path = {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
            command = [sys.executable, "-P", "-m", "k40s.admission_plugins.child", self._name]
            self._started = self._clock()
            self._process = LineProcess(
                command, environment={**kept, **threads, **path}, longest=MAX_TEXT
            )
        return self._process

    def _read_ready_line(self, process: LineProcess, seconds: float) -> str:
        """Why the test cannot be used; empty once it can be asked."""
        fault = process.ask(b"", seconds).decode(errors="replace")
        self._ready = not fault
        return fault

    def _fail(self, cause: str) -> Rejection:
        self.close()
        self._pause_end = self._clock() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        log.error("admission test ended", extra={"test": self._name, "cause": cause})
        return self._refusal(cause)

    def _refusal(self, cause: str) -> Rejection:
        return Rejection(reason=Reason.CPU_TEST_FAILED, detail=f"{self._name}: {cause}"[:1000])
