"""What network daemons publish of their stations' health, and which Nodes there are."""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.cluster.nodes import Heard
from k40s.annotations import NETWORK_STATE_KEY
from k40s.annotations.network_state import NetworkNodeState, parse_network_state
from k40s.errors import InvalidAnnotationError
from k40s.kube.records import NodeRecord
from k40s.node_agent.leases import scarmiglione_lease
from k40s.units import Clock

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Published:
    text: str | None
    state: NetworkNodeState | None


class StationTable:
    """Handler of Nodes. Any thread may call."""

    def __init__(self, *, heard: Heard, clock: Clock) -> None:
        self._heard = heard
        self._clock = clock
        self._lock = threading.Lock()
        self._nodes: dict[str, _Published] = {}

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
        """A Node is gone."""
        with self._lock:
            self._nodes.pop(key, None)

    def names(self) -> frozenset[str]:
        """The names of all Nodes."""
        with self._lock:
            return frozenset(self._nodes)

    def health(self) -> Mapping[str, Mapping[str, str]]:
        """By network, the code of each node whose daemon is alive and has published one."""
        with self._lock:
            nodes = list(self._nodes.items())
        now = self._clock()
        found: dict[str, dict[str, str]] = {}
        for node, published in nodes:
            state = published.state
            if state is None:
                continue
            until = self._heard.expiry(scarmiglione_lease(node), state.lease)
            if until is not None and now < until:
                for network, station in state.networks.items():
                    found.setdefault(network, {})[node] = station.health
        return found


def _read(record: NodeRecord, former: _Published | None) -> _Published:
    text = record.annotations.get(NETWORK_STATE_KEY)
    if former is not None and former.text == text:
        return former
    if text is None:
        return _Published(text=None, state=None)
    try:
        return _Published(text=text, state=parse_network_state(text))
    except InvalidAnnotationError as error:
        log.warning("node annotation refused", extra={"node": record.name, "cause": str(error)})
        return _Published(text=text, state=None)
