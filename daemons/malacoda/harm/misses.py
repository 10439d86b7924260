"""Reads the overruns that the node's rubicante counts, by pod.

Whoever may write the file could only lower the node's level, and is root on the node: its directory
is root's.
"""

import logging
import os
from pathlib import Path

from k40s.errors import InvalidInputError
from k40s.node_agent.overrun_counts import MOST_BYTES, parse_counts
from k40s.units import NS_PER_S, Clock, Nanoseconds

log = logging.getLogger(__name__)

FRESH = Nanoseconds(5 * NS_PER_S)
"""Rubicante replaces the file every second; one that stays the same for longer tells nothing."""


class OverrunFile:
    """``read`` is called each sample. ``missed`` counts the files that could not be understood."""

    def __init__(self, path: Path | None, *, clock: Clock) -> None:
        """Without a ``path`` there are no counts."""
        self.missed = 0
        self._path = path
        self._clock = clock
        self._mark: tuple[int, int] | None = None
        self._changed = 0
        self._counts: dict[str, int] = {}
        self._failed: str | None = None

    def read(self) -> dict[str, int]:
        """Overruns by the pod's UID, since rubicante has started; none where it does not run."""
        if self._path is None:
            return {}
        try:
            found = os.stat(self._path)  # noqa: PTH116  # every sample
        except OSError:
            self._mark, self._counts = None, {}
            return {}
        mark = (found.st_ino, found.st_mtime_ns)
        if mark != self._mark:
            self._mark, self._changed = mark, self._clock()
            self._counts = self._parse(self._path)
        return self._counts if self._clock() - self._changed < FRESH else {}

    def _parse(self, path: Path) -> dict[str, int]:
        try:
            with path.open(encoding="utf-8") as file:
                counts = parse_counts(file.read(MOST_BYTES + 1), source=str(path))
        except (OSError, UnicodeDecodeError, InvalidInputError) as error:
            self.missed += 1
            if self._failed != str(error):
                log.warning("overrun counts not understood", extra={"cause": str(error)})
            self._failed = str(error)
            return {}
        self._failed = None
        return counts
