"""The node's pods with real-time tasks, as its rubicante knows them: none of them is frozen.

A quota leaves real-time threads alone, the freezer does not. So a monitor that was taken over
cannot stop a real-time task, whatever it asks for.
"""

from pathlib import Path
from typing import Protocol

from k40s.errors import InvalidInputError
from k40s.node_agent.overrun_counts import MOST_BYTES, parse_counts


class RealTimePods(Protocol):
    """Which pods hold reservations of CPU time."""

    def find(self) -> frozenset[str] | None:
        """Their UIDs; None where that is not known."""
        ...


class ReservationFile:
    """The file in which rubicante counts overruns: it has each pod with a reservation.

    Its last contents count where rubicante is down. Without a ``path``, or a file, there is none.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def find(self) -> frozenset[str] | None:
        """See ``RealTimePods``."""
        if self._path is None:
            return frozenset()
        try:
            with self._path.open(encoding="utf-8") as file:
                return frozenset(parse_counts(file.read(MOST_BYTES + 1), source=str(self._path)))
        except FileNotFoundError:
            return frozenset()
        except (OSError, UnicodeDecodeError, InvalidInputError):
            return None
