"""Watched Networks, each with the reservations that count.

The reservation of a pod that is gone does not count: kube-scheduler retries waiting pods because of
that pod's deletion, seconds before the controller removes the entry. The next bind writes the
Network without it.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from k40s.kube.feed import Feed
from k40s.kube.records import NetworkRecord
from k40s.network.model import NetworkState

_GONE = 20_000


class NetworkTable:
    """Fed by an informer; any thread may read.

    A Network is the same object until it changes or a pod that holds a part of it is gone.
    ``on_change`` is called after each such change.
    """

    def __init__(self, *, on_change: Callable[[], None], gone: int = _GONE) -> None:
        self._on_change = on_change
        self._most_gone = gone
        self._lock = threading.Lock()
        self._gone: OrderedDict[str, None] = OrderedDict()
        self._states: Mapping[str, NetworkState] = {}
        self._listed = False
        self.feed = Feed(self.replace, self.merge, self.upsert, self.delete)

    def states(self) -> Mapping[str, NetworkState]:
        """All Networks by name, as they are now."""
        return self._states

    @property
    def listed(self) -> bool:
        """Whether the watch has listed them; before that nothing is known of any Network."""
        return self._listed

    def put(self, state: NetworkState) -> NetworkState:
        """Takes a Network that was read or written here, before the watch reports it.

        Returns the newest one. A Network that the watch does not know is not kept.
        """
        with self._lock:
            known = self._states.get(state.network.name)
            if known is None:
                return self._living(state)
            if not is_newer(state, known):
                return known
            changed = self._merge([state])
            newest = self._states[state.network.name]
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

    def replace(self, records: Sequence[NetworkRecord]) -> None:
        """Replaces all Networks."""
        with self._lock:
            listed = {record.name for record in records}
            former, self._states = (
                self._states,
                {name: state for name, state in self._states.items() if name in listed},
            )
            self._listed = True
            changed = self._merge([record.state for record in records]) or len(self._states) != len(
                former
            )
        self._announce(changed=changed)

    def merge(self, records: Sequence[NetworkRecord]) -> None:
        """Adds or updates Networks from an incomplete list."""
        with self._lock:
            self._listed = True
            changed = self._merge([record.state for record in records])
        self._announce(changed=changed)

    def upsert(self, record: NetworkRecord) -> None:
        """Adds or updates a Network."""
        self.merge([record])

    def delete(self, name: str) -> None:
        """Removes a Network."""
        with self._lock:
            known = name in self._states
            self._states = {key: state for key, state in self._states.items() if key != name}
        self._announce(changed=known)

    def _merge(self, states: Iterable[NetworkState]) -> bool:
        """Takes what is newer; returns whether anything was."""
        newer = {
            state.network.name: self._living(state)
            for state in states
            if (known := self._states.get(state.network.name)) is None or is_newer(state, known)
        }
        self._states = {**self._states, **newer}
        return bool(newer)

    def _living(self, state: NetworkState) -> NetworkState:
        kept = tuple(held for held in state.reservations if held.owner.uid not in self._gone)
        return state if len(kept) == len(state.reservations) else replace(state, reservations=kept)

    def _announce(self, *, changed: bool) -> None:
        if changed:
            self._on_change()


def is_newer(state: NetworkState, known: NetworkState) -> bool:
    """Whether a version is above another; versions are numbers that grow."""
    return _age(state) > _age(known)


def _age(state: NetworkState) -> tuple[int, str]:
    return len(state.resource_version), state.resource_version
