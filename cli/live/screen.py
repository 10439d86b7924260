"""Prints a text again when it changes: in place on a terminal, one after another elsewhere."""

import shutil
import sys
from collections.abc import Callable, Iterable
from typing import TextIO

_HOME, _CLEAR_LINE, _CLEAR_BELOW, _CLEAR = "\x1b[H", "\x1b[K", "\x1b[J", "\x1b[2J"


class Screen:
    """Where a watched table is shown."""

    def __init__(
        self,
        out: TextIO = sys.stdout,
        *,
        terminal: bool | None = None,
        height: Callable[[], int] = lambda: shutil.get_terminal_size().lines,
    ) -> None:
        """``height`` is the terminal's, in lines. ``terminal`` None asks ``out``."""
        self._out = out
        self._terminal = out.isatty() if terminal is None else terminal
        self._height = height
        self._shown: str | None = None

    def show(self, text: str) -> None:
        """Show a text, unless it is what is shown already."""
        if text == self._shown:
            return
        begins = self._shown is None
        self._shown = text
        if self._terminal:
            self._out.write((_CLEAR if begins else "") + _HOME + self._frame(text) + _CLEAR_BELOW)
        else:
            self._out.write(f"{'' if begins else chr(10)}{text}\n")
        self._out.flush()

    def _frame(self, text: str) -> str:
        """The lines that fit, each over what stood there before: so nothing flickers."""
        lines: Iterable[str] = text.splitlines()
        lines = list(lines)
        room = max(2, self._height() - 1)
        if len(lines) > room:
            lines = [*lines[: room - 1], f"… {len(lines) - room + 1} more lines"]
        return "".join(f"{line}{_CLEAR_LINE}\n" for line in lines)
