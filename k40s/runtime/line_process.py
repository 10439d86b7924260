"""A process of ours that answers each line with a line, and is never waited for beyond a moment."""

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
_LAST_SECONDS = 5.0


class NoLineError(K40sError):
    """The process gave no line; it has ended, is late, or says too much."""


class SilentError(NoLineError):
    """It did not answer in time, and may still."""


class LineProcess:
    """One process, killed by its id when this is closed or forgotten. One thread at a time.

    So are those that it has forked and that stayed in its group.
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
        """Send a line (nothing, to hear the first), and return the next. Raises ``NoLineError``.

        What it says before it is asked would be taken for the answer to another question.
        """
        end = time.monotonic() + seconds
        if line and _is_ready(self._out, select.POLLIN, 0):
            self._hear()
        if line and self._read:
            raise NoLineError("it said what it was not asked")
        rest = memoryview(line)
        while rest:
            _await(self._in, select.POLLOUT, end)
            try:
                rest = rest[os.write(self._in.fileno(), rest[:_CHUNK]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise NoLineError(self._ending()) from error
        while b"\n" not in self._read:
            _await(self._out, select.POLLIN, end)
            self._hear()
        answer, _, self._read = self._read.partition(b"\n")
        return answer

    def _hear(self) -> None:
        found = os.read(self._out.fileno(), _CHUNK)
        if not found:
            raise NoLineError(self._ending())
        self._read += found
        if len(self._read) > self._longest:
            raise NoLineError(f"it said more than {self._longest} bytes")

    def _ending(self) -> str:
        """End it, if it has but closed its pipes, and tell how it ended."""
        self.close()
        return f"it ended: status {self._process.returncode}"


def _await(pipe: IO[bytes], event: int, end: float) -> None:
    left = end - time.monotonic()
    if left <= 0 or not _is_ready(pipe, event, left):
        raise SilentError("it did not answer")


def _is_ready(pipe: IO[bytes], event: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(pipe, event)
    return bool(poll.poll(seconds * 1000))


def _end(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):  # nobody has reaped it, so its id is its own
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(_LAST_SECONDS)
    except subprocess.TimeoutExpired:  # in the kernel for long: somebody has to reap it some day
        threading.Thread(target=process.wait, daemon=True).start()
