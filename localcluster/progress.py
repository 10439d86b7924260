"""Progress messages: each step with its duration."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Progress:
    """Writes ``text ... 1.2 s`` for every step; ``write`` takes text without a line's end."""

    def __init__(self, write: Callable[[str], None] = lambda _text: None) -> None:
        self._write = write

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Announce a step, and say how long it took, or that it failed."""
        self._write(f"  {text} ... ")
        started = time.monotonic()
        try:
            yield
        except BaseException:
            self._write("failed\n")
            raise
        self._write(f"{time.monotonic() - started:.1f} s\n")

    def note(self, text: str) -> None:
        """Say something that is no step."""
        self._write(f"  {text}\n")
