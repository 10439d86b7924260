"""Reads small files of the kernel by pread, on a bounded number of descriptors that stay open."""

import os
from collections.abc import Iterable

_CHUNK = 4096
"""Most files of a cgroup are shorter; a longer one is read in parts."""


class OpenFiles:
    """At most ``most`` descriptors stay open. A file beyond them is opened for each read.

    Not for v1 ``tasks`` and ``cgroup.procs``: while a descriptor is read more often than once per
    second, the kernel shows the same list again and again.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._open)

    def read(self, path: str) -> bytes:
        """What the file shows now. Raises ``OSError``; the next read opens the file again."""
        descriptor = self._open.get(path)
        if descriptor is None:
            return self._read_new(path)
        try:
            text = os.pread(descriptor, _CHUNK, 0)
            return text if len(text) < _CHUNK else text + _rest(descriptor)
        except OSError:
            self.close([path])
            raise

    def _read_new(self, path: str) -> bytes:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.pread(descriptor, _CHUNK, 0)
            text = text if len(text) < _CHUNK else text + _rest(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        if len(self._open) < self._most:
            self._open[path] = descriptor
        else:
            os.close(descriptor)
        return text

    def close(self, paths: Iterable[str]) -> None:
        """Close those of these files that are open."""
        for path in paths:
            descriptor = self._open.pop(path, None)
            if descriptor is not None:
                os.close(descriptor)

    def close_all(self) -> None:
        """Close every file."""
        self.close(tuple(self._open))


def _rest(descriptor: int) -> bytes:
    parts: list[bytes] = []
    offset = _CHUNK
    while part := os.pread(descriptor, _CHUNK, offset):
        parts.append(part)
        offset += len(part)
    return b"".join(parts)
