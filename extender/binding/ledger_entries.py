"""Entries of binds in the status of one kind of object: written, and removed again, by attempt.

What an entry is, and where it has a place, is the caller's: ``network_entries``,
``tenant_entries``. How a write depends on a version is in ``conditional_writes``.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Generic, Protocol, TypeVar

from prometheus_client import Counter

from extender.binding.conditional_writes import Attempt, ConditionalWrites
from extender.cache.ledgers import LedgerRecord, LedgerState, LedgerTable
from k40s.kube.transport import ConflictError, NotFoundError
from k40s.ledger.entry import Entry
from k40s.units import Nanoseconds

E = TypeVar("E", bound=Entry)
E_contra = TypeVar("E_contra", bound=Entry, contravariant=True)
S = TypeVar("S", bound=LedgerState)
S_co = TypeVar("S_co", bound=LedgerState, covariant=True)


class Get(Protocol[S_co]):
    """Reads an object from the API server."""

    def __call__(
        self, name: str, *, timeout: Nanoseconds | None = None
    ) -> LedgerRecord[S_co] | None:
        """The object, or None if it does not exist. Raises ``UnavailableError``."""


class Update(Protocol[S_co, E_contra]):
    """Replaces the entries of an object."""

    def __call__(
        self,
        name: str,
        reservations: Sequence[E_contra],
        *,
        version: str,
        timeout: Nanoseconds | None = None,
    ) -> LedgerRecord[S_co]:
        """Raises as ``ports.Networks.update_network_reservations``."""


class LedgerEntries(Generic[S, E]):
    """Writes and removes entries. Any thread may call, also twice at once for the same pod."""

    def __init__(
        self,
        *,
        table: LedgerTable[S],
        entries: Callable[[S], Sequence[E]],
        get: Get[S],
        update: Update[S, E],
        writes: ConditionalWrites,
        conflicts: Counter,
        left_behind: Callable[[Attempt, str, str], None],
    ) -> None:
        """``conflicts`` counts refused writes.

        ``left_behind`` reports an entry that may not have been removed: attempt, object, cause.
        """
        self._table = table
        self._entries = entries
        self._get = get
        self._update = update
        self._writes = writes
        self._conflicts = conflicts
        self._left_behind = left_behind

    def known(self, name: str) -> S | None:
        """The object as this process has it."""
        return self._table.states().get(name)

    def newest(self, name: str, deadline: int) -> S | None:
        """Its newest version, with the entries that count. Raises ``UnavailableError``."""
        found = self._get(name, timeout=self._writes.left(deadline))
        return None if found is None else self._table.put(found.state)

    def write(
        self,
        attempt: Attempt,
        state: S,
        *,
        own: E | None,
        entry: E,
        created: bool,
        undo: ExitStack,
    ) -> bool:
        """Puts ``entry`` in the place of the pod's ``own``; False if there is a newer version.

        Nothing is written where they are the same. The removal of one that is ``created`` is
        registered in ``undo``. Raises ``UnavailableError``: where it may have been written, it is
        removed before.
        """
        if entry is own:
            return True
        with ExitStack() as unknown:
            if created:
                unknown.callback(self._remove, attempt, state.name, was_written=False)
            try:
                written = self._update(
                    state.name,
                    (*(one for one in self._entries(state) if one is not own), entry),
                    version=state.resource_version,
                    timeout=self._writes.left(attempt.deadline),
                )
            except (ConflictError, NotFoundError):
                unknown.pop_all()
                self._conflicts.inc()
                return False
            unknown.pop_all()
        self._table.put(written.state)
        if created:
            undo.callback(self._remove, attempt, state.name, was_written=True)
        return True

    def _remove(self, attempt: Attempt, name: str, *, was_written: bool) -> None:
        """Removes the attempt's entry; if it is unknown whether it was written, looks first."""
        cause = self._writes.take_back(
            attempt,
            first=lambda deadline: self.known(name) if was_written else self.newest(name, deadline),
            newest=lambda deadline: self.newest(name, deadline),
            remove=lambda state, deadline: self._remove_from(state, attempt, deadline),
        )
        if cause:
            self._left_behind(attempt, name, cause)

    def _remove_from(self, state: S, attempt: Attempt, deadline: int) -> bool:
        """Writes that version without the attempt's entry; False if there is a newer one."""
        args, entries = attempt.args, self._entries(state)
        own = next((o for o in entries if (o.owner.uid, o.node) == (args.uid, args.node)), None)
        if own is None or own.attempt != attempt.name:
            return True
        try:
            written = self._update(
                state.name,
                tuple(one for one in entries if one is not own),
                version=state.resource_version,
                timeout=self._writes.left(deadline),
            )
        except ConflictError:
            return False
        except NotFoundError:
            return True
        self._table.put(written.state)
        return True
