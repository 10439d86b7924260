"""The only place of the doctor that opens files: those of a machine, below a root."""

import os
import zlib
from pathlib import Path
from typing import Protocol

from workbench.doctor.facts import Gap

_MOST = 16 << 20
"""No file that is read here is longer, packed or not."""
_CHUNK = 1 << 16
_GZIP = zlib.MAX_WBITS | 16


class Files(Protocol):
    """Files of one machine by their absolute paths there. Raises ``OSError`` as the kernel does."""

    def read(self, path: str) -> bytes:
        """The whole of a file."""
        ...

    def directories(self, path: str) -> tuple[str, ...]:
        """Names of the directories in a directory, sorted."""
        ...


class HostFiles:
    """The files of this machine, or of one whose root is mounted at ``root``. Nothing is written.

    A pipe or a device in the place of a file does not make the reader wait.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> bytes:
        """The whole of a file, up to 16 MiB."""
        descriptor = os.open(self._at(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            parts: list[bytes] = []
            while sum(map(len, parts)) < _MOST and (part := os.read(descriptor, _CHUNK)):
                parts.append(part)
        finally:
            os.close(descriptor)
        return b"".join(parts)

    def directories(self, path: str) -> tuple[str, ...]:
        """Names of the directories in a directory, sorted; links are left out."""
        with os.scandir(self._at(path)) as entries:
            return tuple(sorted(e.name for e in entries if e.is_dir(follow_symlinks=False)))

    def _at(self, path: str) -> Path:
        return self._root / path.lstrip("/")


class Reader:
    """Texts of files that may be missing; remembers what was there and could not be read."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._gaps: dict[str, str] = {}

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What could not be read so far, in order."""
        return tuple(Gap(path=path, cause=cause) for path, cause in self._gaps.items())

    def text(self, path: str) -> str | None:
        """A file's text without blanks at its ends; None where there is none to be had."""
        data = self._data(path)
        return None if data is None else data.decode(errors="replace").strip()

    def unpacked(self, path: str) -> str | None:
        """The text of a file that is packed by gzip."""
        data = self._data(path)
        if data is None:
            return None
        try:
            return zlib.decompressobj(_GZIP).decompress(data, _MOST).decode(errors="replace")
        except zlib.error:
            self._gaps[path] = "not a gzip file"
            return None

    def directories(self, path: str) -> tuple[str, ...]:
        """Names of the directories in a directory; none where it cannot be read."""
        try:
            return self._files.directories(path)
        except OSError as error:
            self._note(path, error)
            return ()

    def is_there(self, path: str) -> bool:
        """Whether a directory exists and can be listed."""
        try:
            self._files.directories(path)
        except OSError as error:
            self._note(path, error)
            return False
        return True

    def refuse(self, path: str, cause: str) -> None:
        """Remember a file whose text is not what it should be."""
        self._gaps[path] = cause

    def _data(self, path: str) -> bytes | None:
        try:
            return self._files.read(path)
        except OSError as error:
            self._note(path, error)
            return None

    def _note(self, path: str, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            self._gaps[path] = (error.strerror or str(error)).lower()
