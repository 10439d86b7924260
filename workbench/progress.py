"""A progress counter on the terminal; silent where the stream is no terminal."""

import sys
from collections.abc import Callable
from typing import TextIO

Progress = Callable[[int, int], None]
"""Called with the amount done and the total."""


class Counter:
    """Rewrites one line with the per cent done, and erases it at the end."""

    def __init__(self, what: str, stream: TextIO | None = None) -> None:
        self._what = what
        self._stream = stream or sys.stderr
        self._shown = -1

    def __call__(self, done: int, of: int) -> None:
        """Show progress: ``done`` of ``of``."""
        if not self._stream.isatty():
            return
        percent = 100 * done // of
        if percent != self._shown:
            self._shown = percent
            self._stream.write(f"\r{self._what} {percent:3d} %" if done < of else "\r\x1b[K")
            self._stream.flush()
