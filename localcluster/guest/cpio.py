"""Write a cpio archive in the format ``newc``, which the kernel unpacks as its first file system.

Several archives may stand one after the other in one file; a later one's files win.
"""

import stat
import tarfile
from pathlib import Path
from typing import BinaryIO

_ALIGNMENT = 4
_BLOCK = 512
_TRAILER = "TRAILER!!!"


class CpioWriter:
    """Writes members to ``stream``; all belong to root and have no time, so equal in, equal out."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._written = 0
        self._inode = 0
        self._directories: set[str] = set()

    def add_file(self, name: str, content: bytes, *, mode: int = 0o644) -> None:
        """A file; the directories above it are made."""
        self._make_parents(name)
        self._member(name, stat.S_IFREG | mode, content)

    def add_link(self, name: str, target: str) -> None:
        """A symbolic link; the directories above it are made."""
        self._make_parents(name)
        self._member(name, stat.S_IFLNK | 0o777, target.encode())

    def add_directory(self, name: str, *, mode: int = 0o755) -> None:
        """A directory, and those above it."""
        self._make_parents(name)
        if name not in self._directories:
            self._directories.add(name)
            self._member(name, stat.S_IFDIR | mode, b"")

    def add_tar(self, path: Path) -> None:
        """All files, directories and links of a tar archive; no devices."""
        with tarfile.open(path) as tar:
            for member in tar:
                name = member.name.removeprefix("./").strip("/")
                if member.isdir() and name not in {"", "."}:
                    self.add_directory(name, mode=member.mode)
                elif member.issym():
                    self.add_link(name, member.linkname)
                elif member.isfile() or member.islnk():
                    content = tar.extractfile(member)
                    assert content is not None  # noqa: S101  # only for other kinds
                    self.add_file(name, content.read(), mode=member.mode)

    def close(self) -> None:
        """End the archive, so that another may follow."""
        self._member(_TRAILER, 0, b"")
        self._pad(_BLOCK)

    def _make_parents(self, name: str) -> None:
        parent = name.rpartition("/")[0]
        if parent:
            self.add_directory(parent)

    def _member(self, name: str, mode: int, content: bytes) -> None:
        encoded = name.encode() + b"\0"
        self._inode += 1
        links = 1
        fields = (self._inode, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
        self._write(b"070701" + b"".join(b"%08x" % field for field in fields) + encoded)
        self._pad(_ALIGNMENT)
        self._write(content)
        self._pad(_ALIGNMENT)

    def _pad(self, alignment: int) -> None:
        self._write(b"\0" * (-self._written % alignment))

    def _write(self, data: bytes) -> None:
        self._stream.write(data)
        self._written += len(data)
