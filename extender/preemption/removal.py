"""Nodes and Networks as they will be once some pods are gone. Pure.

A node's published state loses their reservations, Networks their entries, and stations get the
channels of their slots back.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from extender.cache.networks import NetworkTable
from extender.cache.snapshot import NodeView
from extender.cache.workloads import Contract
from k40s.annotations import UID_LENGTH, NetworkNodeState
from k40s.cpu.model import CpuNode
from k40s.network.model import NetworkState

Uids = frozenset[str]


def without(node: CpuNode, uids: Iterable[str]) -> CpuNode:
    """The node without what these pods hold; reservations carry the beginning of a UID."""
    gone = {uid[:UID_LENGTH] for uid in uids}
    kept = tuple(held for held in node.reservations if held.pod_uid[:UID_LENGTH] not in gone)
    return node if len(kept) == len(node.reservations) else node.holding(kept)


class NetworksWithout:
    """The Networks that a pod requires, without the entries of pods that are gone."""

    def __init__(self, networks: NetworkTable, contract: Contract, gone: Uids) -> None:
        self.listed = networks.listed
        required = {one.network for one in contract.requirements}
        self.former: dict[str, NetworkState] = {
            name: state for name, state in networks.states().items() if name in required
        }
        self._states = {
            name: replace(
                state,
                reservations=tuple(
                    held for held in state.reservations if held.owner.uid not in gone
                ),
            )
            for name, state in self.former.items()
        }

    def states(self) -> Mapping[str, NetworkState]:
        """All of them by name."""
        return self._states


def view_without(view: NodeView, networks: NetworksWithout, gone: Uids) -> NodeView:
    """The node as it will publish itself once those pods are gone."""
    state = view.cpu
    if state is not None and state.complete:
        node = without(state.node, gone)
        if node is not state.node:
            state = replace(state, node=node, utilization=node.utilizations())
    stations = view.stations
    if stations is not None and networks.former:
        stations = _free_channels(view.name, stations, networks, gone)
    return replace(view, cpu=state, stations=stations)


def _free_channels(
    node: str, stations: NetworkNodeState, networks: NetworksWithout, gone: Uids
) -> NetworkNodeState:
    """Each slot of a pod that is gone gives its station a channel back."""
    states = dict(stations.networks)
    for name, network in networks.former.items():
        freed = sum(
            len(held.slots)
            for held in network.reservations
            if held.node == node and held.owner.uid in gone
        )
        if freed and name in states:
            states[name] = replace(states[name], channels=states[name].channels + freed)
    return replace(stations, networks=states)
