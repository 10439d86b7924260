"""What filter and prioritize know of the nodes: immutable values, replaced whole when they change.

Pure: how they are kept up to date is the business of ``extender.nodes``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from k40s.annotations import CpuState
from k40s.criticality import Criticality
from k40s.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """One node.

    Either ``assurance`` says why its assurance counts for nothing, or it is None and ``level`` is
    A in 0..20; either ``cpu`` is usable, or it is None and ``cpu_refusal`` says why.

    The identity of ``cpu`` tells states apart: it is the same object until the node publishes
    another state.
    """

    name: str
    real_time: bool
    level: int
    assurance: Reason | None
    cpu: CpuState | None
    cpu_refusal: Reason | None
    holders: frozenset[str]
    """UIDs, as published, of the pods that hold reservations in ``cpu``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Every node at one instant.

    ``refused`` has, for LOW and HI, the nodes whose assurance does not suffice, and ``scores``
    the scores of the others; ``loads`` has the CPU of the pods on each node, in thousandths of a
    CPU (nodes without a pod may be absent). ``version`` counts the changes of nodes.
    """

    nodes: Mapping[str, NodeView]
    real_time: Mapping[str, NodeView]
    refused: Mapping[Criticality, Mapping[str, Reason]]
    scores: Mapping[Criticality, Mapping[str, int]]
    loads: Mapping[str, int]
    version: int = 0
