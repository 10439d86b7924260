"""Watched objects whose status is a ledger, each with the reservations that count.

The reservation of a pod that is gone does not count: kube-scheduler retries waiting pods because of
that pod's deletion, seconds before the controller removes the entry. The next bind writes the
status without it.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from k40s.kube.watching.feed import Feed
from k40s.ledger.entry import Entry

GONE = 20_000


class LedgerState(Protocol):
    """An object at one version of it."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def resource_version(self) -> str:
        """Its version."""

    @property
    def reservations(self) -> Sequence[Entry]:
        """Its entries."""


S = TypeVar("S", bound=LedgerState)
S_co = TypeVar("S_co", bound=LedgerState, covariant=True)


class LedgerRecord(Protocol[S_co]):
    """An object as the watch reports it."""

    @property
    def key(self) -> str:
        """Its name."""

    @property
    def state(self) -> S_co:
        """Its state."""


class LedgerTable(Generic[S]):
    """Fed by an informer; any thread may read.

    A state is the same object until it changes or a pod that holds a part of it is gone.
    ``on_change`` is called after each such change.
    """

    def __init__(
        self,
        *,
        without: Callable[[S, Container[str]], S],
        on_change: Callable[[], None],
        gone: int = GONE,
    ) -> None:
        """``without`` gives a state without the entries of these pods, by UID."""
        self._without = without
        self._on_change = on_change
        self._most_gone = gone
        self._lock = threading.Lock()
        self._gone: OrderedDict[str, None] = OrderedDict()
        self._states: Mapping[str, S] = {}
        self._listed = False
        self.feed = Feed(self.replace, self.merge, self.upsert, self.delete)

    def states(self) -> Mapping[str, S]:
        """All objects by name, as they are now."""
        return self._states

    @property
    def listed(self) -> bool:
        """Whether the watch has listed them; before that nothing is known of any."""
        return self._listed

    def put(self, state: S) -> S:
        """Takes a state that was read or written here, before the watch reports it.

        Returns the newest one. One of an object that the watch does not know is not kept.
        """
        with self._lock:
            known = self._states.get(state.name)
            if known is None:
                return self._living(state)
            if not is_newer(state, known):
                return known
            changed = self._merge([state])
            newest = self._states[state.name]
        self._announce(changed=changed)
        return newest

    def pod_gone(self, uid: str) -> None:
        """Takes the UID of a pod that will never run again."""
        with self._lock:
            self._gone[uid] = None
            self._gone.move_to_end(uid)
            if len(self._gone) > self._most_gone:
                self._gone.popitem(last=False)
            freed = {
                name: self._living(state)
                for name, state in self._states.items()
                if any(held.owner.uid == uid for held in state.reservations)
            }
            self._states = {**self._states, **freed}
        self._announce(changed=bool(freed))

    def replace(self, records: Sequence[LedgerRecord[S]]) -> None:
        """Replaces all objects."""
        with self._lock:
            listed = {record.key for record in records}
            former, self._states = (
                self._states,
                {name: state for name, state in self._states.items() if name in listed},
            )
            self._listed = True
            changed = self._merge([record.state for record in records]) or len(self._states) != len(
                former
            )
        self._announce(changed=changed)

    def merge(self, records: Sequence[LedgerRecord[S]]) -> None:
        """Adds or updates objects from an incomplete list."""
        with self._lock:
            self._listed = True
            changed = self._merge([record.state for record in records])
        self._announce(changed=changed)

    def upsert(self, record: LedgerRecord[S]) -> None:
        """Adds or updates an object."""
        self.merge([record])

    def delete(self, name: str) -> None:
        """Removes an object."""
        with self._lock:
            known = name in self._states
            self._states = {key: state for key, state in self._states.items() if key != name}
        self._announce(changed=known)

    def _merge(self, states: Iterable[S]) -> bool:
        """Takes what is newer; returns whether anything was."""
        newer = {
            state.name: self._living(state)
            for state in states
            if (known := self._states.get(state.name)) is None or is_newer(state, known)
        }
        self._states = {**self._states, **newer}
        return bool(newer)

    def _living(self, state: S) -> S:
        if any(held.owner.uid in self._gone for held in state.reservations):
            return self._without(state, self._gone)
        return state

    def _announce(self, *, changed: bool) -> None:
        if changed:
            self._on_change()


def is_newer(state: LedgerState, known: LedgerState) -> bool:
    """Whether a version is above another; versions are numbers that grow."""
    return _age(state) > _age(known)


def _age(state: LedgerState) -> tuple[int, str]:
    return len(state.resource_version), state.resource_version
