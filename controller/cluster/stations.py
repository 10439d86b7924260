"""What network daemons publish of their stations' health, and which Nodes there are."""

from collections.abc import Iterator, Mapping

from controller.cluster.node_annotations import NodeAnnotations
from controller.cluster.nodes import Heard
from k40s.annotations import NETWORK_STATE_KEY
from k40s.annotations.network_state import (
    NetworkNodeState,
    StationState,
    parse_network_state,
)
from k40s.node_agent.leases import scarmiglione_lease
from k40s.units import Clock


class StationTable(NodeAnnotations[NetworkNodeState]):
    """The nodes' stations. Handler of Nodes; any thread may call."""

    def __init__(self, *, heard: Heard, clock: Clock) -> None:
        super().__init__(key=NETWORK_STATE_KEY, parse=parse_network_state)
        self._heard = heard
        self._clock = clock

    def names(self) -> frozenset[str]:
        """The names of all Nodes."""
        return frozenset(self.published())

    def health(self) -> Mapping[str, Mapping[str, str]]:
        """By network, the code of each node whose daemon is alive and has published one."""
        found: dict[str, dict[str, str]] = {}
        for node, network, station in self._living():
            found.setdefault(network, {})[node] = station.health
        return found

    def held(self) -> Mapping[str, Mapping[str, str]]:
        """By network, the digest of what each of these stations has read back."""
        found: dict[str, dict[str, str]] = {}
        for node, network, station in self._living():
            if station.held is not None:
                found.setdefault(network, {})[node] = station.held
        return found

    def _living(self) -> Iterator[tuple[str, str, StationState]]:
        """Node, network and state of each station whose daemon is alive."""
        nodes, now = self.published(), self._clock()
        for node, published in nodes.items():
            state = published.value
            if state is None:
                continue
            until = self._heard.expiry(scarmiglione_lease(node), state.lease)
            if until is not None and now < until:
                yield from ((node, network, one) for network, one in state.networks.items())
