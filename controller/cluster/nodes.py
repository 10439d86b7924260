"""What nodes publish and whether their daemons are alive, by the rule of the extender's filter."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.cluster.node_annotations import NodeAnnotations, Published
from k40s.annotations import ASSURANCE_KEY, NodeAssurance, parse_node_assurance
from k40s.kube.heartbeats import Heartbeats
from k40s.kube.records import LeaseRecord
from k40s.node_agent.leases import malacoda_lease, rubicante_lease
from k40s.reasons import Reason
from k40s.units import Clock, Nanoseconds, WallClock


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLevel:
    """``level`` is 0 to 20, None where it is unknown; ``reason`` is then why."""

    level: int | None
    reason: Reason | None = None
    cpu_silent: bool = False
    """Whether the node's rubicante holds a Lease and does not renew it."""


class Heard:
    """Handler of the daemons' Leases. Any thread may call."""

    def __init__(self, *, clock: Clock, wall: WallClock) -> None:
        self._lock = threading.Lock()
        self._heartbeats = Heartbeats(clock=clock, wall=wall)
        self._durations: dict[str, Nanoseconds] = {}

    def replace(self, records: Sequence[LeaseRecord]) -> None:
        """All Leases of the namespace."""
        with self._lock:
            self._heartbeats.replace(records, complete=True)
            self._durations = {one.name: one.duration for one in records}

    def merge(self, records: Sequence[LeaseRecord]) -> None:
        """Some of them."""
        with self._lock:
            self._heartbeats.replace(records, complete=False)
            self._durations |= {one.name: one.duration for one in records}

    def upsert(self, record: LeaseRecord) -> None:
        """A heartbeat."""
        with self._lock:
            self._heartbeats.upsert(record)
            self._durations[record.name] = record.duration

    def delete(self, key: str) -> None:
        """A Lease is gone: its holder is silent, or has given it up."""
        with self._lock:
            self._heartbeats.delete(key)
            self._durations.pop(key, None)

    def expiry(self, name: str, lease: Nanoseconds) -> int | None:
        """When the holder becomes silent, None if it has never renewed its Lease."""
        with self._lock:
            return self._heartbeats.expiry(name, lease)

    def is_silent(self, name: str, now: int) -> bool:
        """Whether there is such a Lease and it has run out, by its own duration."""
        with self._lock:
            duration = self._durations.get(name)
            until = None if duration is None else self._heartbeats.expiry(name, duration)
        return until is not None and until <= now


class NodeTable(NodeAnnotations[NodeAssurance]):
    """The nodes' assurance. Handler of Nodes; any thread may call."""

    def __init__(self, *, heard: Heard, clock: Clock) -> None:
        super().__init__(key=ASSURANCE_KEY, parse=parse_node_assurance)
        self._heard = heard
        self._clock = clock

    def levels(self) -> Mapping[str, NodeLevel]:
        """Every node's level now."""
        nodes, now = self.published(), self._clock()
        return {name: self._level(name, published, now) for name, published in nodes.items()}

    def _level(self, name: str, published: Published[NodeAssurance], now: int) -> NodeLevel:
        silent = self._heard.is_silent(rubicante_lease(name), now)
        value = published.value
        if value is None:
            missing = published.text is None
            reason = Reason.ASSURANCE_UNKNOWN if missing else Reason.ASSURANCE_INVALID
            return NodeLevel(level=None, reason=reason, cpu_silent=silent)
        until = self._heard.expiry(malacoda_lease(name), value.lease)
        if until is None or until <= now:
            reason = Reason.ASSURANCE_NO_LEASE if until is None else Reason.ASSURANCE_STALE
            return NodeLevel(level=None, reason=reason, cpu_silent=silent)
        return NodeLevel(level=value.level, cpu_silent=silent)


def known_levels(levels: Mapping[str, NodeLevel]) -> dict[str, int | None]:
    """The levels alone."""
    return {name: one.level for name, one in levels.items()}
