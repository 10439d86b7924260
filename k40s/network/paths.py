"""Paths through a best-effort network: shortest by delay, with the bandwidth left on each link.

A link has the same delay in both directions, and a reservation takes its bandwidth in both, so one
search from the peer serves every node and both directions (Dijkstra 1959).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import pairwise

from k40s.network.model import Network, NetworkState, Path
from k40s.network.usage import Edge, add_bandwidth
from k40s.reasons import Reason
from k40s.units import Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The shortest paths from every vertex to ``root``: delay in ns, and the next vertex.

    ``rooms`` is the bandwidth left on the fullest link of each path; None is without a bound.
    """

    root: str
    delays: Mapping[str, int]
    following: Mapping[str, str]
    rooms: Mapping[str, int | None] = field(default_factory=dict)
    _paths: dict[str, tuple[str, ...]] = field(init=False, default_factory=dict)

    def path(self, vertex: str) -> tuple[str, ...] | None:
        """The vertices from this one to the root, both included; None where there is no path."""
        found = self._paths.get(vertex)
        if found is None and vertex in self.delays:
            after = self.following[vertex]
            rest = self._paths.get(after) or (self._walk(after) if vertex != self.root else ())
            found = self._paths[vertex] = (vertex, *rest)
        return found

    def _walk(self, vertex: str) -> tuple[str, ...]:
        found = [vertex]
        while found[-1] != self.root:
            found.append(self.following[found[-1]])
        for index, one in enumerate(found):
            self._paths[one] = tuple(found[index:])
        return tuple(found)


class Graph:
    """The links of a network; ``used`` in bit/s is what is reserved of each. Does not change."""

    def __init__(self, network: Network, used: Mapping[Edge, int]) -> None:
        self.capacities: dict[Edge, int | None] = {}
        self.links: dict[str, dict[str, tuple[int, int | None]]] = {}
        """The delay of each link, and the bandwidth left on it; None is without a bound."""
        for link in network.links:
            left, right = link.ends
            edge = frozenset(link.ends)
            room = self.capacities[edge] = link.capacity
            if room is not None:
                room -= used.get(edge, 0)
            self.links.setdefault(left, {})[right] = link.delay, room
            self.links.setdefault(right, {})[left] = link.delay, room


class PathSearch:
    """Searches paths on one network; its trees are kept, so that it serves all nodes."""

    def __init__(self, state: NetworkState, graph: Graph) -> None:
        self._state = state
        self._links = graph.links
        self._trees: dict[tuple[str, int], Tree] = {}
        self._by_path = not state.measured and not state.network.delays
        """Whether nothing is known of delays but what the links say."""

    def find(
        self,
        node: str,
        peer: str,
        *,
        delay: Nanoseconds | None,
        bandwidth: int,
        before: Sequence[Path] = (),
    ) -> tuple[str, ...] | Reason:
        """The vertices from a node to the peer's node, or why there are none.

        ``before`` are the same pod's paths to other peers, whose bandwidth is taken as well: of a
        link at most what all of them have together.
        """
        if node == peer:
            return (node,)
        tree = self._tree(peer, bandwidth)
        path = tree.path(node)
        if path is not None and bandwidth and before:
            room = tree.rooms[node]
            if room is not None and room < bandwidth + sum([one.bandwidth for one in before]):
                own = _taken(before)
                if not self._has_room(path, bandwidth, own):
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
        if node not in nearest.delays and not _in_matrix(self._state.network, node, peer):
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
        if len(path) > len(ends) or not _in_matrix(self._state.network, *ends):
            return None
        return self._delay(*ends, Tree(root=ends[1], delays={}, following={}))

    def _delay(self, node: str, peer: str, tree: Tree) -> int:
        """Of the worse direction: measured, else of the matrix, else of the path."""
        if self._by_path:
            return tree.delays[node]
        measured, matrix = self._state.measured, self._state.network.delays
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
        """Equal delays are decided by fewer links, then by name, so the result is reproducible.

        A vertex with one link is reached by that link alone, so it needs no place in the queue.
        """
        delays: dict[str, int] = {}
        following: dict[str, str] = {}
        rooms: dict[str, int | None] = {}
        queue: list[tuple[int, int, str, str, int | None]] = [(0, 0, root, root, None)]
        while queue:
            delay, hops, vertex, after, left = heappop(queue)
            if vertex in delays:
                continue
            delays[vertex], following[vertex], rooms[vertex] = delay, after, left
            for end, (further, room) in self._links.get(vertex, {}).items():
                if end in delays:
                    continue
                if bandwidth and room is not None:
                    taken = own.get(frozenset((vertex, end)), 0) if own else 0
                    if room - taken < bandwidth:
                        continue
                ahead = room if left is None or (room is not None and room < left) else left
                if len(self._links[end]) == 1:
                    delays[end], following[end], rooms[end] = delay + further, vertex, ahead
                else:
                    heappush(queue, (delay + further, hops + 1, end, vertex, ahead))
        return Tree(root=root, delays=delays, following=following, rooms=rooms)


def _taken(paths: Sequence[Path]) -> Mapping[Edge, int]:
    own: dict[Edge, int] = {}
    for path in paths:
        add_bandwidth(own, path)
    return own


def _in_matrix(network: Network, node: str, peer: str) -> bool:
    return (node, peer) in network.delays and (peer, node) in network.delays
