"""Files of cgroups: read and written below one directory, without following a symbolic link."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

FREEZER_STATE = "freezer.state"
_CHUNK = 4096
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_CLOEXEC


class CgroupFiles(Protocol):
    """The cgroup file systems, by paths relative to /sys/fs/cgroup. Raises ``OSError``."""

    def read(self, path: str) -> str:
        """The text of a file, without the line's end.

        ``freezer.state`` (cgroup v1) reads as what was asked of this cgroup, FROZEN or THAWED:
        neither on the way there, nor by its parents.
        """
        ...

    def write(self, path: str, text: str) -> None:
        """One write of a whole value."""
        ...

    def exists(self, path: str) -> bool:
        """Whether there is such a file, which may be one that cannot be read."""
        ...

    def tell(self, path: str, text: str) -> None:
        """Write to a file that cannot be read: an order, and no value."""
        ...

    def directories(self, path: str) -> tuple[str, ...]:
        """Names of the directories in a directory, sorted; links are none. "" is the top."""
        ...


def is_v1(files: CgroupFiles, tree: str) -> bool:
    """Whether the directory below /sys/fs/cgroup is the top of a hierarchy of v1."""
    try:
        files.read(f"{tree}/cgroup.clone_children")
    except FileNotFoundError:
        return False
    return True


class LinuxCgroups:
    """The running kernel's, seen at ``root``. A path through a link raises ``OSError``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> str:
        """The text of a file; of a v1 freezer, what was asked of this cgroup."""
        directory, _, name = path.rpartition("/")
        if name != FREEZER_STATE:
            return self._read(path)
        return "FROZEN" if self._read(f"{directory}/freezer.self_freezing") == "1" else "THAWED"

    def write(self, path: str, text: str) -> None:
        """One ``write(2)``; the file is neither made nor truncated."""
        with self._opened(path, os.O_WRONLY | _FILE) as descriptor:
            os.write(descriptor, text.encode())

    def exists(self, path: str) -> bool:
        """Whether it can be opened for writing."""
        try:
            with self._opened(path, os.O_WRONLY | _FILE):
                return True
        except FileNotFoundError:
            return False

    def tell(self, path: str, text: str) -> None:
        """Write an order."""
        self.write(path, text)

    def directories(self, path: str) -> tuple[str, ...]:
        """Names of the directories in a directory."""
        with self._opened(path, _DIRECTORY) as descriptor, os.scandir(descriptor) as entries:
            return tuple(sorted(e.name for e in entries if e.is_dir(follow_symlinks=False)))

    def _read(self, path: str) -> str:
        with self._opened(path, os.O_RDONLY | _FILE) as descriptor:
            return os.read(descriptor, _CHUNK).decode(errors="replace").strip()

    @contextmanager
    def _opened(self, path: str, flags: int) -> Iterator[int]:
        *parents, name = path.split("/")
        if not path or any(part in ("", ".", "..") for part in (*parents, name)):
            if path:
                raise ValueError(f"not a path below the cgroups: {path!r}")
            name = "."
        directory = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parents:
                inner = os.open(part, _DIRECTORY, dir_fd=directory)
                os.close(directory)
                directory = inner
            descriptor = os.open(name, flags, dir_fd=directory)
        finally:
            os.close(directory)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


class DryRun:
    """Writes nothing: what would be written is what is read afterwards."""

    def __init__(self, files: CgroupFiles) -> None:
        self._files = files
        self._written: dict[str, str] = {}

    def read(self, path: str) -> str:
        """The text of a file, or what would be there."""
        there = self._files.read(path)
        return self._written.get(path, there)

    def write(self, path: str, text: str) -> None:
        """Remember a value."""
        self._files.read(path)
        self._written[path] = text

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        return self._files.exists(path)

    def tell(self, path: str, text: str) -> None:
        """Give no order."""

    def directories(self, path: str) -> tuple[str, ...]:
        """Names of the directories in a directory."""
        return self._files.directories(path)
