"""Runs what may block in the kernel: in a child process, for a bounded time.

A thread that waits in RTnet cannot be interrupted from its own process. A child can: RTnet's waits
end on a signal and leave the station's state clean.
"""

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from k40s.errors import KernelError

_GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL, and for how long the dead are waited for."""
_TAIL = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A child that ended by itself. ``errors`` is the end of its standard error."""

    status: int
    output: str
    errors: str


Run = Callable[[Sequence[str], float], Finished]
"""Runs a command for some seconds at most. Raises ``KernelError``."""


def run_child(command: Sequence[str], seconds: float) -> Finished:
    """Run a command; after ``seconds`` it gets SIGTERM, SIGKILL, and ``KernelError`` is raised.

    A child that not even SIGKILL ends, because it sleeps in the kernel uninterruptibly, is left to
    a thread that reaps it once it does. The environment is ``LC_ALL=C`` and a ``PATH`` of system
    directories, so that messages are those that are known.
    """
    try:
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin:/usr/xenomai/sbin"},
            encoding="utf-8",
            errors="replace",
            cwd="/",
        )
    except OSError as error:
        raise KernelError(f"{command[0]} cannot be started: {error.strerror}") from error
    try:
        output, errors = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        _end(child)
        shown = " ".join(word if len(word) < 40 else "…" for word in command[:8])  # noqa: PLR2004
        raise KernelError(f"no end after {seconds:g} s: {shown}") from error
    return Finished(status=child.returncode, output=output, errors=errors.strip()[-_TAIL:])


def python(program: str, *arguments: str) -> tuple[str, ...]:
    """The command of a small program of ours, without site packages: it starts in 10 ms."""
    return (sys.executable, "-I", "-S", "-c", program, *arguments)


def python_file(path: str, *arguments: str) -> tuple[str, ...]:
    """The same for a program of ours that is a file."""
    return (sys.executable, "-I", "-S", path, *arguments)


def _end(child: "subprocess.Popen[str]") -> None:
    for end in (child.terminate, child.kill):
        end()
        try:
            child.communicate(timeout=_GRACE)
        except subprocess.TimeoutExpired:
            continue
        return
    threading.Thread(target=child.wait, daemon=True, name="reap").start()
