"""A process that the kernel may hold back as a probe, apart from this one.

So a throttled probe holds neither the interpreter's lock nor the memory map of its parent. It has
no capability that its parent lacks, ends with the thread that started it, and its CPU time is
bounded.
"""

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Set as AbstractSet
from types import TracebackType
from typing import IO, Self

NICE = 19
START_SECONDS = 10.0
_END_SECONDS = 5.0

_BEGIN = """
import ctypes, mmap, os, resource, sys, time
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() != {parent}:
    sys.exit(1)
os.write(1, b"1")
"""


class ProbeProcess:
    """A Python process on ``cores``, ordinary and at the lowest priority; it has begun.

    Raises ``OSError``.
    """

    def __init__(self, program: str, cores: AbstractSet[int]) -> None:
        code = _BEGIN.format(parent=os.getpid()) + program
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={},
        )
        self.tid = self._process.pid
        self._orders, self._answers = _pipe(self._process.stdin), _pipe(self._process.stdout)
        try:
            os.sched_setaffinity(self.tid, cores)
            os.setpriority(os.PRIO_PROCESS, self.tid, NICE)
            self._prepare()
        except BaseException:
            self._end()
            raise

    def _prepare(self) -> None:
        """Wait until it has begun."""
        if not self._read(1, START_SECONDS):
            raise ChildProcessError("the probe process ended at its start")

    def _read(self, size: int, seconds: float) -> bytes:
        """What it has said, empty when it has ended. Raises ``TimeoutError``."""
        answer = select.poll()
        answer.register(self._answers, select.POLLIN)
        if not answer.poll(seconds * 1000):
            raise TimeoutError("the probe process says nothing")
        return os.read(self._answers.fileno(), size)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it, and wait for its end."""
        self._end()

    def _end(self) -> None:
        """By force."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        try:
            self._wait(_END_SECONDS)
        finally:
            for stream in (self._orders, self._answers):
                with contextlib.suppress(OSError):
                    stream.close()

    def _leave(self, seconds: float) -> None:
        """Tell it that no more orders come, and give it so much time to end by itself."""
        with contextlib.suppress(OSError):
            self._orders.close()
        self._wait(seconds)

    def _wait(self, seconds: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ChildProcessError("the probe process has no pipe")
    return stream
