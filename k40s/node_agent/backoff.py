"""Back-off from an unavailable server, whose failures are logged once."""

import logging
from typing import Protocol

from k40s.errors import UnavailableError
from k40s.units import Clock, Nanoseconds

log = logging.getLogger(__name__)


class FailureListener(Protocol):
    """Counts failures, as a metric."""

    def __call__(self, error: UnavailableError, /) -> None:
        """A call has failed."""


def _ignore(error: UnavailableError) -> None:
    """No listener."""


class Backoff:
    """One pause for all loops that call the same server."""

    def __init__(
        self, *, pause: Nanoseconds, clock: Clock, on_failure: FailureListener = _ignore
    ) -> None:
        """With a ``pause`` of 0 every tick tries again."""
        self._pause = pause
        self._clock = clock
        self._on_failure = on_failure
        self._end = clock()
        self._logged: str | None = None

    @property
    def active(self) -> bool:
        """Whether the server must not be called now."""
        return self._clock() < self._end

    def failed(self, text: str, error: UnavailableError) -> None:
        """Begin a pause; log the failure unless the last one had the same ``text``."""
        self._end = self._clock() + self._pause
        self._on_failure(error)
        if self._logged != text:
            log.warning(text, extra={"cause": str(error)})
        self._logged = text

    def succeeded(self) -> None:
        """The server has answered: its next failure is logged again."""
        self._logged = None
