"""A process of ours that answers each line with a line, and is never waited for beyond a moment."""

import os
import select
import subprocess
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import IO, cast

from k40s.errors import K40sError

_CHUNK = 1 << 16
_LAST_SECONDS = 5.0


class NoLineError(K40sError):
    """The process gave no line; it has ended, is late, or says too much."""


class SilentError(NoLineError):
    """It did not answer in time, and may still."""


class LineProcess:
    """One process, killed by its id when this is closed or forgotten. One thread at a time."""

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
        )
        self._in = cast("IO[bytes]", self._process.stdin)
        self._out = cast("IO[bytes]", self._process.stdout)
        os.set_blocking(self._in.fileno(), False)
        os.set_blocking(self._out.fileno(), False)
        self._longest = longest
        self._read = b""
        self.close = weakref.finalize(self, _end, self._process)

    def ask(self, line: bytes, seconds: float) -> bytes:
        """Send a line (nothing, to hear the first), and return the next. Raises ``NoLineError``."""
        end = time.monotonic() + seconds
        rest = memoryview(line)
        while rest:
            self._await(self._in.fileno(), select.POLLOUT, end)
            try:
                rest = rest[os.write(self._in.fileno(), rest[:_CHUNK]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise NoLineError(f"it ended: {self._status()}") from error
        while b"\n" not in self._read:
            self._await(self._out.fileno(), select.POLLIN, end)
            found = os.read(self._out.fileno(), _CHUNK)
            if not found:
                raise NoLineError(f"it ended: {self._status()}")
            self._read += found
            if len(self._read) > self._longest:
                raise NoLineError(f"it said more than {self._longest} bytes")
        answer, _, self._read = self._read.partition(b"\n")
        return answer

    def _await(self, file: int, event: int, end: float) -> None:
        poll = select.poll()
        poll.register(file, event)
        left = end - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise SilentError("it did not answer")

    def _status(self) -> str:
        try:
            return f"status {self._process.wait(_LAST_SECONDS)}"
        except subprocess.TimeoutExpired:
            return "its pipes are closed"


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(_LAST_SECONDS)
    except subprocess.TimeoutExpired:  # in the kernel for long: somebody has to reap it some day
        threading.Thread(target=process.wait, daemon=True).start()
