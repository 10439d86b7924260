"""A small durable map from key to JSON text, which survives kill -9: a daemon's book."""

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from k40s.errors import UnavailableError


class StoreError(UnavailableError):
    """The file cannot be read or written: the disk is full, broken or read-only."""


class StoreInUseError(StoreError):
    """Another process has the store open: it has one writer at a time."""


class Store:
    """One SQLite file, written in whole transactions that are on disk when a method returns.

    It belongs to one process at a time, until that closes it or ends, in whatever way. Usable from
    all threads of that process; open it after a fork, not before.
    """

    def __init__(self, path: Path) -> None:
        """Open or create, without waiting.

        Raises ``StoreInUseError`` while another process has it, ``StoreError`` when the file
        cannot be used; so does every method.
        """
        self._path = path
        self._lock = threading.Lock()
        with self._failures_named():
            self._database = sqlite3.connect(
                path, timeout=0.0, isolation_level=None, check_same_thread=False
            )
            try:
                self._database.execute("PRAGMA locking_mode=EXCLUSIVE")
                self._database.execute("PRAGMA journal_mode=WAL")
                self._database.execute("PRAGMA synchronous=FULL")
                self._database.execute(
                    "CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, text TEXT NOT NULL)"
                    " WITHOUT ROWID"
                )
            except sqlite3.Error:
                self._database.close()
                raise

    def entries(self) -> dict[str, str]:
        """All keys and their texts, as one snapshot."""
        with self._lock, self._failures_named():
            return dict(self._database.execute("SELECT key, text FROM entry ORDER BY key"))

    def get(self, key: str) -> str | None:
        """The text under ``key``, or None."""
        with self._lock, self._failures_named():
            found = self._database.execute("SELECT text FROM entry WHERE key = ?", (key,))
            row: tuple[str] | None = found.fetchone()
            return None if row is None else row[0]

    def put(self, key: str, text: str) -> None:
        """Insert or replace one."""
        self.write({key: text})

    def delete(self, key: str) -> None:
        """Remove one; a key that is absent is no error."""
        self.write({key: None})

    def write(self, changes: Mapping[str, str | None]) -> None:
        """Insert, replace and (None) remove, all of it or nothing."""
        with self._transaction() as database:
            for key, text in changes.items():
                _write_one(database, key, text)

    def replace_all(self, entries: Mapping[str, str]) -> None:
        """Make ``entries`` the whole content, all of it or nothing."""
        with self._transaction() as database:
            database.execute("DELETE FROM entry")
            for key, text in entries.items():
                _write_one(database, key, text)

    def close(self) -> None:
        """Close the file; the store is of no use afterwards."""
        with self._lock, self._failures_named():
            self._database.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._failures_named():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:  # a full disk has ended it already
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def _failures_named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                raise StoreInUseError(f"store {self._path}: another process has it open") from error
            raise StoreError(f"store {self._path}: {error}") from error


def _write_one(database: sqlite3.Connection, key: str, text: str | None) -> None:
    if text is None:
        database.execute("DELETE FROM entry WHERE key = ?", (key,))
    else:
        database.execute(
            "INSERT INTO entry VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET text = excluded.text",
            (key, text),
        )
