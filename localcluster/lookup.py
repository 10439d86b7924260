"""A cluster by its name, as it was brought up."""

from pathlib import Path

from localcluster.cluster import Cluster
from localcluster.settings import EDGE_NODES, GUEST_NODE, ClusterSettings


def find_cluster(name: str, *, binaries: Path | None = None, guest: bool = False) -> Cluster:
    """The cluster of this name, with a guest if that is asked for or it has one already.

    Raises ``ValueError`` for a name that no cluster can have.
    """
    settings = ClusterSettings(name=name, binaries=binaries)
    cluster = Cluster(settings)
    try:
        known = cluster.paths.nodes.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        known = []
    if not guest and GUEST_NODE.name not in known:
        return cluster
    return Cluster(ClusterSettings(name=name, binaries=binaries, nodes=(*EDGE_NODES, GUEST_NODE)))
