"""Marks in the kernel of those who use HRTICK_DL, on behalf of all rubicantes of one kernel.

A mark is an empty cgroup ``<prefix>-hrtick`` at the top of the hierarchy. It says two things: k40s
switched HRTICK_DL on, where it was off before; and the rubicante of this prefix counts on it. The
last one to remove its mark switches the feature off. A cgroup lasts exactly as long as the
scheduler's setting: through any death of a process, and not through a restart of the machine. And
it is seen by every rubicante on the kernel, also by those whose nodes are namespaces of it, as a
file would not be.
"""

from pathlib import Path

from daemons.rubicante.kernel.system import System, list_if_readable
from k40s.errors import KernelError

SUFFIX = "-hrtick"


class Marks:
    """The marks below ``top``; ``prefix`` is that of our own, unique among daemons of a kernel."""

    def __init__(self, *, system: System, top: Path, prefix: str) -> None:
        self._system = system
        self._top = top
        self._name = prefix + SUFFIX

    def is_set(self) -> bool:
        """Whether ours is there."""
        return self._name in self._all()

    def others(self) -> tuple[str, ...]:
        """Those of other rubicantes."""
        return tuple(name for name in self._all() if name != self._name)

    def set(self) -> None:
        """Make ours. Raises ``KernelError``."""
        try:
            self._system.make_directory(self._top / self._name)
        except FileExistsError:
            return
        except OSError as error:
            raise KernelError(f"no cgroup {self._name} in {self._top}: {error}") from error

    def clear(self) -> None:
        """Remove ours. Raises ``KernelError``."""
        try:
            self._system.remove_directory(self._top / self._name)
        except FileNotFoundError:
            return
        except OSError as error:
            raise KernelError(f"cgroup {self._name} stays in {self._top}: {error}") from error

    def _all(self) -> tuple[str, ...]:
        names = list_if_readable(self._system, self._top)
        return tuple(name for name in names if name.endswith(SUFFIX))
