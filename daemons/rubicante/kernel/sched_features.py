"""The scheduler's features in debugfs: which are on, and switching one on or off."""

import errno
from pathlib import Path

from daemons.rubicante.kernel.system import System
from k40s.errors import KernelError

HRTICK_DL = "HRTICK_DL"
"""A timer of high resolution ends each SCHED_DEADLINE budget, instead of the next tick."""
_OFF = "NO_"
_CAUSES = {
    errno.EPERM: "lockdown forbids it (EPERM)",
    errno.EROFS: "it is mounted read-only (EROFS)",
    errno.EACCES: "the process may not write it (EACCES)",
    errno.ENOENT: "debugfs is not mounted there (ENOENT)",
}


class SchedFeatures:
    """``<debug>/features``, where ``debug`` is the scheduler's directory in debugfs."""

    def __init__(self, *, system: System, debug: Path) -> None:
        self._system = system
        self._file = debug / "features"

    def is_on(self, name: str) -> bool | None:
        """Whether a feature is on; None where this kernel has none of the name.

        Raises ``KernelError`` where the file cannot be read.
        """
        try:
            words = self._system.read(self._file).split()
        except OSError as error:
            raise KernelError(self._refusal("read", error)) from error
        return True if name in words else False if _OFF + name in words else None

    def switch(self, name: str, *, on: bool) -> None:
        """Switch a feature, and read it back. Raises ``KernelError``."""
        try:
            self._system.write(self._file, name if on else _OFF + name)
        except OSError as error:
            raise KernelError(self._refusal("written", error)) from error
        if self.is_on(name) is not on:
            raise KernelError(f"{self._file}: {name} is not {'on' if on else 'off'} after a write")

    def _refusal(self, what: str, error: OSError) -> str:
        cause = _CAUSES.get(error.errno or 0, str(error))
        return f"{self._file} cannot be {what}: {cause}"
