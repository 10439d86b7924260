"""The immutable node state that filter, prioritize and bind read. ``cache.nodes`` replaces it.

What a Node publishes is ``k40s.annotations.cpu_state``, ``k40s.annotations.node_assurance`` and
``k40s.annotations.network_state``; a field of it is at once visible, as in ``NodeView.cpu``.
``NodeView`` has what ``cache.node_entry`` derives from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from k40s.annotations import CpuState, NetworkNodeState
from k40s.criticality import Criticality
from k40s.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """One node's state.

    ``assurance`` is the reason why its assurance is not usable, or None; ``level`` is then its
    level, 0..20. ``reduced`` is by how much a hazard has lowered it, ``hazards`` are the metrics
    that had an alarm then. ``cpu`` is its CPU state, or None; ``cpu_refusal`` is then the reason.
    ``stations`` is the state of its stations on networks, or None; ``station_refusal`` likewise.

    CPU states are compared by identity: ``cpu`` is the same object until the node publishes
    another state.
    """

    name: str
    real_time: bool
    level: int
    reduced: int
    hazards: tuple[str, ...]
    assurance: Reason | None
    cpu: CpuState | None
    cpu_refusal: Reason | None
    holders: frozenset[str] | None
    """Published UIDs of unbound pods that may hold reservations in ``cpu``; None: any pod may."""
    stations: NetworkNodeState | None = None
    station_refusal: Reason | None = Reason.NETWORK_NO_DAEMON


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All nodes at one instant.

    For LOW and HI, ``refused`` has the nodes whose assurance is too low and ``scores`` the
    assurance scores of the others. ``loads`` has the millicores requested on each node (nodes
    without pods may be absent). ``version`` counts changes of nodes,
    ``beside`` those of Networks and of the pods that are peers on them.
    """

    nodes: Mapping[str, NodeView]
    real_time: Mapping[str, NodeView]
    refused: Mapping[Criticality, Mapping[str, Reason]]
    scores: Mapping[Criticality, Mapping[str, int]]
    loads: Mapping[str, int]
    version: int = 0
    beside: int = 0
