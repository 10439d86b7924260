"""Waits for new directories: a wake-up only, since what to do is always read from the tree.

That makes the usual races harmless: after a wake-up, an overflow, or a watch that was added
late, the reader looks at the directories themselves.
"""

import errno
import logging
import os
import select
import threading
from collections.abc import Set as AbstractSet
from pathlib import Path

from inotify_simple import (  # type: ignore[import-untyped]  # ships no types
    INotify,
    flags,
)

log = logging.getLogger(__name__)

_MASK = flags.CREATE | flags.MOVED_TO | flags.ONLYDIR
_EVENTFD_READ = 8
_GONE = (errno.ENOENT, errno.ENOTDIR)


class DirectoryWatch:
    """One inotify instance and a bell that other threads ring."""

    def __init__(self) -> None:
        self._inotify = INotify(nonblocking=True)
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._inotify.fileno(), select.POLLIN)
        self._poll.register(self._bell, select.POLLIN)
        self._watched: dict[Path, int] = {}
        self._paths: dict[int, Path] = {}
        self._closing = threading.Lock()
        self.rung = False
        """Whether the last ``wait`` was ended by ``ring``."""
        self._refused = ""

    def follow(self, directories: AbstractSet[Path]) -> frozenset[Path]:
        """Watch these directories and no others; returns those that were added.

        The caller reads these again: a child may have appeared before the watch. A directory that
        cannot be watched (all of uid 0 share ``max_user_watches``) is left out: the caller polls
        it.
        """
        for path in self._watched.keys() - directories:
            self._forget(path)
        added = set()
        for path in directories - self._watched.keys():
            try:
                descriptor = self._inotify.add_watch(path, _MASK)
            except OSError as error:
                self._log_once(error)
                continue
            self._watched[path], self._paths[descriptor] = descriptor, path
            added.add(path)
        return frozenset(added)

    def _log_once(self, error: OSError) -> None:
        """Logs each distinct cause once."""
        cause = os.strerror(error.errno or 0)
        if error.errno not in _GONE and cause != self._refused:
            log.warning("directory not watched", extra={"cause": cause})
            self._refused = cause

    def wait(self, seconds: float) -> frozenset[Path] | None:
        """Wait for a new directory, for ``ring``, or for the time to pass.

        Returns the followed directories in which one appeared, or that are gone; None when there
        were too many events, and it may have been any.
        """
        ready = {fd for fd, _ in self._poll.poll(max(0, round(seconds * 1000)))}
        self.rung = self._bell in ready
        if self.rung:
            os.read(self._bell, _EVENTFD_READ)
        return self._drain() if self._inotify.fileno() in ready else frozenset()

    def ring(self) -> None:
        """End a ``wait`` at once, from any thread; after ``close`` nothing."""
        with self._closing:
            if not self._inotify.closed:
                os.eventfd_write(self._bell, 1)

    def close(self) -> None:
        """Close both descriptors; no thread may be in ``wait``."""
        with self._closing:
            if not self._inotify.closed:
                self._inotify.close()
                os.close(self._bell)

    def _drain(self) -> frozenset[Path] | None:
        heard: set[Path] = set()
        lost = False
        for event in self._inotify.read(timeout=0):
            lost |= bool(event.mask & flags.Q_OVERFLOW)
            path = self._paths.get(event.wd)
            if path is not None:
                heard.add(path)
                if event.mask & flags.IGNORED:
                    del self._watched[path], self._paths[event.wd]
        return None if lost else frozenset(heard)

    def _forget(self, path: Path) -> None:
        descriptor = self._watched.pop(path)
        del self._paths[descriptor]
        try:
            self._inotify.rm_watch(descriptor)
        except OSError:
            return  # the directory went first and took the watch with it
