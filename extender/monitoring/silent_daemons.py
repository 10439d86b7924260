"""Counts the nodes whose daemon published its state and no longer renews its Lease. Pure."""

from collections.abc import Iterable

from extender.cache.snapshot import NodeView
from k40s.reasons import Reason

SILENCE = {
    "malacoda": frozenset({Reason.ASSURANCE_STALE, Reason.ASSURANCE_NO_LEASE}),
    "rubicante": frozenset({Reason.CPU_STATE_STALE, Reason.CPU_NO_LEASE}),
    "scarmiglione": frozenset({Reason.NETWORK_STATE_STALE}),
}
"""By daemon, why a node is refused when it is silent."""


def count_silent(nodes: Iterable[NodeView], daemon: str) -> int:
    """The nodes on which this daemon is silent."""
    reasons = SILENCE[daemon]
    return sum(
        1
        for node in nodes
        if not reasons.isdisjoint((node.assurance, node.cpu_refusal, node.station_refusal))
    )
