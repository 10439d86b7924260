"""Files that programs watch, and files that serve as locks."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_changed(path: Path, text: str, *, mode: int = 0o644) -> bool:
    """Write a file unless its content is the same; returns whether an existing file changed.

    ``mode`` is that of a new file.

    Programs watch their files: kube-proxy ends itself when its configuration is written again.
    """
    try:
        if path.read_text(encoding="utf-8") == text:
            return False
    except FileNotFoundError:
        pass
    existed = path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=mode)
    path.write_text(text, encoding="utf-8")
    return existed


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, waiting for its holder, who may remove it."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = path.open("w")
        except FileNotFoundError:  # the former holder has removed the directory as well
            continue
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # The former holder may have removed it: then a newcomer would lock another file.
            if _is_same(file.fileno(), path):
                yield
                return


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
