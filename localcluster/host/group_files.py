"""The files of cgroup v2 that a local cluster reads and writes, behind one port."""

from pathlib import Path
from typing import Protocol


class GroupFiles(Protocol):
    """Reads and writes as the kernel does; writing and making raise ``OSError``."""

    def read(self, path: Path) -> str:
        """The text of a file without blanks at its ends; empty where it is not there."""
        ...

    def write(self, path: Path, text: str) -> None:
        """Write a whole value."""
        ...

    def make(self, path: Path) -> None:
        """Make a cgroup, unless it exists."""
        ...

    def children(self, path: Path) -> frozenset[str]:
        """The names of the cgroups in a cgroup."""
        ...


class LinuxGroupFiles:
    """The running kernel."""

    def read(self, path: Path) -> str:
        """Empty also where the controller that has the file does not reach the cgroup."""
        try:
            return path.read_text(encoding="utf-8").strip()
        except OSError:
            return ""

    def write(self, path: Path, text: str) -> None:
        """One ``write(2)``."""
        path.write_text(text)

    def make(self, path: Path) -> None:
        """``mkdir``."""
        path.mkdir(exist_ok=True)

    def children(self, path: Path) -> frozenset[str]:
        """Its directories."""
        return frozenset(entry.name for entry in path.iterdir() if entry.is_dir())
