"""A child process that answers each line with one line, within a time limit."""

import os
import select
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, cast

from k40s.errors import K40sError

_CHUNK = 1 << 16
_REAP_SECONDS = 5.0


class NoLineError(K40sError):
    """The process gave no line: it has exited, is late, or the line is too long."""


class LateError(NoLineError):
    """The answer is not there in time, and may still come."""


class LineProcess:
    """One process, killed with its process group on ``close`` or garbage collection.

    For one thread at a time.
    """

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str], longest: int
    ) -> None:
        """Start it; ``longest`` bounds a line, in bytes. Raises ``OSError``."""
        self._process = subprocess.Popen(  # noqa: S603  # the caller's own program
            command,
            env=dict(environment),
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        self._in = cast("IO[bytes]", self._process.stdin)
        self._out = cast("IO[bytes]", self._process.stdout)
        os.set_blocking(self._in.fileno(), False)
        os.set_blocking(self._out.fileno(), False)
        self._longest = longest
        self._read = b""
        self.close = weakref.finalize(self, _end, self._process)

    def ask(self, line: bytes, seconds: float) -> bytes:
        """Send a line (an empty one only reads), and return the next. Raises ``NoLineError``.

        Output before the request would be taken for the answer to another one.
        """
        end = time.monotonic() + seconds
        if line and _is_ready(self._out, select.POLLIN, 0):
            self._receive()
        if line and self._read:
            raise NoLineError("it said what it was not asked")
        rest = memoryview(line)
        while rest:
            _wait_for(self._in, select.POLLOUT, end)
            try:
                rest = rest[os.write(self._in.fileno(), rest[:_CHUNK]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise NoLineError(self._exit_text()) from error
        while b"\n" not in self._read:
            _wait_for(self._out, select.POLLIN, end)
            self._receive()
        answer, _, self._read = self._read.partition(b"\n")
        return answer

    def _receive(self) -> None:
        found = os.read(self._out.fileno(), _CHUNK)
        if not found:
            raise NoLineError(self._exit_text())
        self._read += found
        if len(self._read) > self._longest:
            raise NoLineError(f"it said more than {self._longest} bytes")

    def _exit_text(self) -> str:
        """Kill it, if it has only closed its pipes, and return its exit status as text."""
        self.close()
        return f"it ended: status {self._process.returncode}"


def _wait_for(pipe: IO[bytes], event: int, end: float) -> None:
    left = end - time.monotonic()
    if left <= 0 or not _is_ready(pipe, event, left):
        raise LateError("it did not answer")


def _is_ready(pipe: IO[bytes], event: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(pipe, event)
    return bool(poll.poll(seconds * 1000))


def _end(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):  # it is not reaped yet, so its pid is not reused
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(_REAP_SECONDS)
    except subprocess.TimeoutExpired:  # stuck in the kernel: reap it once it ends
        threading.Thread(target=process.wait, daemon=True).start()
