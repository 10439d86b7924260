"""Counts overruns by pod, in a file that the node's assurance monitor reads."""

import logging
import os
from collections.abc import Collection
from pathlib import Path

from k40s.node_agent.overrun_counts import MOST_COUNTED, format_counts

log = logging.getLogger(__name__)

_READABLE = 0o644
"""Malacoda is another user."""


class OverrunCounts:
    """Not for several threads. Without a ``path`` nothing is written."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._counts: dict[str, int] = {}
        self._failed: str | None = None

    def add(self, uid: str) -> None:
        """A task of this pod has overrun."""
        self._counts[uid] = min(self._counts.get(uid, 0) + 1, MOST_COUNTED)

    def write(self, uids: Collection[str]) -> None:
        """Replace the file: these pods have reservations. A failure is logged once."""
        self._counts = {uid: self._counts.get(uid, 0) for uid in uids}
        if self._path is None:
            return
        new = self._path.with_name(f".{self._path.name}.new")
        try:
            with new.open("w", encoding="ascii") as file:
                os.fchmod(file.fileno(), _READABLE)
                file.write(format_counts(self._counts))
            new.replace(self._path)
        except OSError as error:
            if self._failed != str(error):
                log.warning("overrun counts not written", extra={"cause": str(error)})
            self._failed = str(error)
        else:
            self._failed = None
