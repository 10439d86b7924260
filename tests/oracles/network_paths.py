"""Paths through a network by networkx: a multigraph in which every direction is an edge.

Shares no code with ``k40s.network``: delays and what is left of capacities are edge attributes, and
each reservation is taken off both directions of its path.
"""

from collections.abc import Iterable, Sequence

import networkx as nx

Links = Iterable[tuple[str, str, int, int | None]]
"""Two ends, the delay in ns, and the capacity in bit/s or None."""
Held = Iterable[tuple[Sequence[str], int]]
"""The vertices of a path, and its bandwidth."""


def graph(links: Links, held: Held) -> "nx.DiGraph[str]":
    found: nx.DiGraph[str] = nx.DiGraph()
    for left, right, delay, capacity in links:
        for ends in ((left, right), (right, left)):
            found.add_edge(*ends, delay=delay, room=float("inf") if capacity is None else capacity)
    for vertices, bandwidth in held:
        for way in (list(vertices), list(reversed(vertices))):
            for ends in nx.utils.pairwise(way):
                if found.has_edge(*ends):
                    found.edges[ends]["room"] -= bandwidth
    return found


def shortest(network: "nx.DiGraph[str]", source: str, target: str, bandwidth: int) -> int | None:
    """The least delay of a path whose every edge has room, in both directions; None for no path."""

    def weight(left: str, right: str, edge: dict[str, int]) -> int | None:
        back = network.edges[right, left]
        return edge["delay"] if min(edge["room"], back["room"]) >= bandwidth else None

    try:
        return int(nx.dijkstra_path_length(network, source, target, weight=weight))
    except (nx.NetworkXNoPath, nx.NodeNotFound):
        return None
