"""Paths through a best-effort network: shortest by delay, with the bandwidth left on each link.

A link has the same delay in both directions, and a reservation takes its bandwidth in both, so one
search from the peer serves every node and both directions (Dijkstra 1959).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import pairwise

from k40s.network.model import Network, NetworkState
from k40s.network.usage import Edge
from k40s.reasons import Reason
from k40s.units import Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The shortest paths from every vertex to ``root``: delay in ns, and the next vertex."""

    root: str
    delays: Mapping[str, int]
    following: Mapping[str, str]

    def path(self, vertex: str) -> tuple[str, ...] | None:
        """The vertices from this one to the root, both included; None where there is no path."""
        if vertex not in self.delays:
            return None
        found = [vertex]
        while found[-1] != self.root:
            found.append(self.following[found[-1]])
        return tuple(found)


@dataclass(slots=True, kw_only=True)
class PathSearch:
    """Searches paths on one network; ``used`` in bit/s is what others hold of each link.

    The trees of a search are kept, so that it serves all nodes.
    """

    state: NetworkState
    used: Mapping[Edge, int]
    capacities: dict[Edge, int | None] = field(init=False, default_factory=dict)
    _links: dict[str, dict[str, tuple[int, int | None]]] = field(init=False, default_factory=dict)
    """The delay of each link, and the bandwidth left on it; None is without a bound."""
    _trees: dict[tuple[str, int], Tree] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for link in self.state.network.links:
            left, right = link.ends
            room = None
            self.capacities[frozenset(link.ends)] = link.capacity
            if link.capacity is not None:
                room = link.capacity - self.used.get(frozenset(link.ends), 0)
            self._links.setdefault(left, {})[right] = link.delay, room
            self._links.setdefault(right, {})[left] = link.delay, room

    def find(
        self,
        node: str,
        peer: str,
        *,
        delay: Nanoseconds | None,
        bandwidth: int,
        own: Mapping[Edge, int],
    ) -> tuple[str, ...] | Reason:
        """The vertices from a node to the peer's node, or why there are none.

        ``own`` in bit/s is what the same pod takes of links for its other peers.
        """
        if node == peer:
            return (node,)
        tree = self._tree(peer, bandwidth)
        path = tree.path(node)
        if path is not None and bandwidth and own and not self._has_room(path, bandwidth, own):
            tree = self._search(peer, bandwidth, own)
            path = tree.path(node)
        if path is not None and (delay is None or self._delay(node, peer, tree) <= delay):
            return path
        return self._without_path(node, peer, delay, bandwidth)

    def _without_path(
        self, node: str, peer: str, delay: Nanoseconds | None, bandwidth: int
    ) -> tuple[str, ...] | Reason:
        """Why there is no such path; or the ends, where a matrix without links is all there is."""
        nearest = self._tree(peer, 0)
        if node not in nearest.delays and not _in_matrix(self.state.network, node, peer):
            return Reason.NETWORK_NO_PATH
        if delay is not None and self._delay(node, peer, nearest) > delay:
            return Reason.NETWORK_DELAY
        return Reason.NETWORK_CAPACITY if bandwidth else (node, peer)

    def delay(self, path: tuple[str, ...]) -> int | None:
        """The delay in ns of the worse direction between a path's ends; None for no path."""
        total = 0
        for here, there in pairwise(path):
            link = self._links.get(here, {}).get(there)
            if link is None:
                return None if len(self._links) else self._matrix_delay(path)
            total += link[0]
        tree = Tree(root=path[-1], delays={path[0]: total}, following={})
        return self._delay(path[0], path[-1], tree) if len(path) > 1 else 0

    def _matrix_delay(self, path: tuple[str, ...]) -> int | None:
        ends = path[0], path[-1]
        if len(path) > len(ends) or not _in_matrix(self.state.network, *ends):
            return None
        return self._delay(*ends, Tree(root=ends[1], delays={}, following={}))

    def _delay(self, node: str, peer: str, tree: Tree) -> int:
        """Of the worse direction: measured, else of the matrix, else of the path."""
        measured, matrix = self.state.measured, self.state.network.delays
        if not measured and not matrix:
            return tree.delays[node]
        worst = 0
        for pair in ((node, peer), (peer, node)):
            known = measured.get(pair, matrix.get(pair))
            worst = max(worst, tree.delays[node] if known is None else known)
        return worst

    def _tree(self, root: str, bandwidth: int) -> Tree:
        found = self._trees.get((root, bandwidth))
        if found is None:
            found = self._trees[root, bandwidth] = self._search(root, bandwidth, {})
        return found

    def _has_room(self, path: tuple[str, ...], bandwidth: int, own: Mapping[Edge, int]) -> bool:
        rooms = ((ends, self._links[ends[0]][ends[1]][1]) for ends in pairwise(path))
        return all(
            room is None or room - own.get(frozenset(ends), 0) >= bandwidth for ends, room in rooms
        )

    def _search(self, root: str, bandwidth: int, own: Mapping[Edge, int]) -> Tree:
        """Equal delays are decided by fewer links, then by name, so the result is reproducible."""
        delays: dict[str, int] = {}
        following: dict[str, str] = {}
        queue: list[tuple[int, int, str, str]] = [(0, 0, root, root)]
        while queue:
            delay, hops, vertex, after = heappop(queue)
            if vertex in delays:
                continue
            delays[vertex], following[vertex] = delay, after
            for end, (further, room) in self._links.get(vertex, {}).items():
                if end in delays:
                    continue
                if bandwidth and room is not None:
                    taken = own.get(frozenset((vertex, end)), 0) if own else 0
                    if room - taken < bandwidth:
                        continue
                heappush(queue, (delay + further, hops + 1, end, vertex))
        return Tree(root=root, delays=delays, following=following)


def _in_matrix(network: Network, node: str, peer: str) -> bool:
    return (node, peer) in network.delays and (peer, node) in network.delays
