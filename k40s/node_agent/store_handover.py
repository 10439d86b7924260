"""Opens the store, which one process holds at a time, and waits for the former one to end."""

import logging
from collections.abc import Callable
from pathlib import Path

from k40s.runtime.store import Store, StoreInUseError
from k40s.units import MonotonicClock

log = logging.getLogger(__name__)

_HANDOVER_SECONDS = 45.0
"""How long the former process may take to end: more than its grace period."""
_RETRY_SECONDS = 0.25


def open_store(path: Path, *, wait: Callable[[float], object], clock: MonotonicClock) -> Store:
    """Open the store; while another process has it, log that and wait.

    Raises ``UnavailableError`` when the file cannot be used, or the other one does not end.
    """
    end = clock() + _HANDOVER_SECONDS
    said = False
    while True:
        try:
            return Store(path)
        except StoreInUseError as error:
            if clock() >= end:
                raise
            if not said:
                log.warning("waiting for the former process to end", extra={"cause": str(error)})
                said = True
        wait(_RETRY_SECONDS)
