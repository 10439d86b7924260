"""How far something long has come, on the terminal; silent where nobody watches."""

import sys
from typing import TextIO


class Counter:
    """Rewrites one line with per cent done, and takes it away at the end."""

    def __init__(self, what: str, stream: TextIO | None = None) -> None:
        self._what = what
        self._stream = stream or sys.stderr
        self._shown = -1

    def __call__(self, done: int, of: int) -> None:
        """So much is done, of so much."""
        if not self._stream.isatty():
            return
        percent = 100 * done // of
        if percent != self._shown:
            self._shown = percent
            self._stream.write(f"\r{self._what} {percent:3d} %" if done < of else "\r\x1b[K")
            self._stream.flush()
