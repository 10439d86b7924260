"""Waits for new directories: a wake-up only, since what to do is always read from the tree.

That makes the usual races harmless: after a wake-up, an overflow, or a watch that was added
late, the reader looks at the directories themselves.
"""

import os
import select
import threading
from collections.abc import Iterable
from pathlib import Path

from inotify_simple import (  # type: ignore[import-untyped]  # ships no types
    INotify,
    flags,
)

_MASK = flags.CREATE | flags.MOVED_TO | flags.ONLYDIR
_EVENTFD_READ = 8


class DirectoryWatch:
    """One inotify instance and a bell that other threads ring."""

    def __init__(self) -> None:
        self._inotify = INotify(nonblocking=True)
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._inotify.fileno(), select.POLLIN)
        self._poll.register(self._bell, select.POLLIN)
        self._watched: dict[Path, int] = {}
        self._closing = threading.Lock()

    def follow(self, directories: Iterable[Path]) -> bool:
        """Watch these directories and no others; True when one was added.

        After True the caller looks again: something may have appeared before the watch did.
        """
        wanted = set(directories)
        for path in self._watched.keys() - wanted:
            self._forget(path)
        added = False
        for path in wanted - self._watched.keys():
            try:
                self._watched[path] = self._inotify.add_watch(path, _MASK)
            except (FileNotFoundError, NotADirectoryError):
                continue
            added = True
        return added

    def wait(self, seconds: float) -> bool:
        """Wait for a new directory, for ``ring``, or for the time to pass; False if it passed."""
        ready = {fd for fd, _ in self._poll.poll(max(0, round(seconds * 1000)))}
        if self._bell in ready:
            os.read(self._bell, _EVENTFD_READ)
        if self._inotify.fileno() in ready:
            self._drain()
        return bool(ready)

    def ring(self) -> None:
        """End a ``wait`` at once, from any thread; after ``close`` nothing."""
        with self._closing:
            if not self._inotify.closed:
                os.eventfd_write(self._bell, 1)

    def close(self) -> None:
        """Give back both descriptors; nobody may be in ``wait``."""
        with self._closing:
            if not self._inotify.closed:
                self._inotify.close()
                os.close(self._bell)

    def _drain(self) -> None:
        gone = {event.wd for event in self._inotify.read(timeout=0) if event.mask & flags.IGNORED}
        self._watched = {path: wd for path, wd in self._watched.items() if wd not in gone}

    def _forget(self, path: Path) -> None:
        descriptor = self._watched.pop(path)
        try:
            self._inotify.rm_watch(descriptor)
        except OSError:
            return  # the directory went first and took the watch with it
