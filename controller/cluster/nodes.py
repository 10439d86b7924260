"""What nodes publish and whether their daemons are alive, by the rule of the extender's filter."""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from k40s.annotations import ASSURANCE_KEY, NodeAssurance, parse_node_assurance
from k40s.errors import InvalidAnnotationError
from k40s.kube.heartbeats import Heartbeats
from k40s.kube.records import LeaseRecord, NodeRecord
from k40s.node_agent.leases import malacoda_lease, rubicante_lease
from k40s.reasons import Reason
from k40s.units import Clock, Nanoseconds, WallClock

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A Node's annotation: its text, and its value, None where there is none."""

    text: str | None
    value: NodeAssurance | None


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


class NodeTable:
    """Handler of Nodes. Any thread may call."""

    def __init__(self, *, heard: Heard, clock: Clock) -> None:
        self._heard = heard
        self._clock = clock
        self._lock = threading.Lock()
        self._nodes: dict[str, Published] = {}

    def replace(self, records: Sequence[NodeRecord]) -> None:
        """All Nodes."""
        with self._lock:
            former = self._nodes
            self._nodes = {one.name: _read(one, former.get(one.name)) for one in records}

    def merge(self, records: Sequence[NodeRecord]) -> None:
        """Some of them."""
        for record in records:
            self.upsert(record)

    def upsert(self, record: NodeRecord) -> None:
        """A Node is new or has changed."""
        with self._lock:
            self._nodes[record.name] = _read(record, self._nodes.get(record.name))

    def delete(self, key: str) -> None:
        """A Node is gone: nothing is known of what ran there."""
        with self._lock:
            self._nodes.pop(key, None)

    def levels(self) -> Mapping[str, NodeLevel]:
        """Every node's level now."""
        with self._lock:
            nodes = list(self._nodes.items())
        now = self._clock()
        return {name: self._level(name, published, now) for name, published in nodes}

    def _level(self, name: str, published: Published, now: int) -> NodeLevel:
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


def _read(record: NodeRecord, former: Published | None) -> Published:
    text = record.annotations.get(ASSURANCE_KEY)
    if former is not None and former.text == text:
        return former
    if text is None:
        return Published(text=None, value=None)
    try:
        return Published(text=text, value=parse_node_assurance(text))
    except InvalidAnnotationError as error:
        log.warning("node annotation refused", extra={"node": record.name, "cause": str(error)})
        return Published(text=text, value=None)
