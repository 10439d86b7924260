"""Networks as the watch last showed them."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from k40s.network.model import Network, NetworkReservation, NetworkState


class Changed(Protocol):
    """Wakes the reconciliation."""

    def __call__(self) -> None:
        """Something has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A TDMA network that the node is a member of, and the interface that is on it."""

    network: Network
    interface: str


class DeclaredNetworks:
    """All Networks by name. ``changed`` is called after each change.

    A Network with a ``fault`` keeps the slots that were set up for it, and gets no new ones.
    """

    def __init__(self, *, node: str, changed: Changed = lambda: None) -> None:
        self._node = node
        self._changed = changed
        self._news = threading.Condition()
        self._states: dict[str, NetworkState] = {}
        self._version = 0

    def replace(self, states: Sequence[NetworkState]) -> None:
        """Take all Networks; others are gone."""
        with self._news:
            self._states = {state.network.name: state for state in states}
            self._announce()

    def put(self, state: NetworkState) -> None:
        """Take one that is new, or has changed."""
        with self._news:
            self._states[state.network.name] = state
            self._announce()

    def drop(self, name: str) -> None:
        """Forget one that is gone."""
        with self._news:
            self._states.pop(name, None)
            self._announce()

    @property
    def version(self) -> int:
        """Counts changes."""
        with self._news:
            return self._version

    def wait_for_change(self, since: int, seconds: float) -> bool:
        """Wait until the version is another than ``since``; whether it is."""
        with self._news:
            return self._news.wait_for(lambda: self._version != since, seconds)

    def find(self, name: str) -> NetworkState | None:
        """One by name."""
        with self._news:
            return self._states.get(name)

    def states(self) -> tuple[NetworkState, ...]:
        """All of them, by name."""
        with self._news:
            return tuple(self._states[name] for name in sorted(self._states))

    def memberships(self) -> tuple[Membership, ...]:
        """Those TDMA networks, without a fault, that this node is a member of."""
        found = []
        for state in self.states():
            member = state.network.member(self._node)
            if state.fault is None and state.network.tdma is not None and member is not None:
                found.append(Membership(network=state.network, interface=member.interface))
        return tuple(found)

    def reservations(self) -> dict[str, dict[str, NetworkReservation]]:
        """The node's reservations with slots: by pod UID, then by network.

        Those of a Network with a fault are left out: what it says is not known.
        """
        found: dict[str, dict[str, NetworkReservation]] = {}
        for state in self.states():
            if state.fault is not None:
                continue
            for one in state.reservations:
                if one.node == self._node and one.slots:
                    found.setdefault(one.owner.uid, {})[state.network.name] = one
        return found

    def _announce(self) -> None:
        self._version += 1
        self._news.notify_all()
        self._changed()
