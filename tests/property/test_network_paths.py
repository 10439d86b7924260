"""Paths of best-effort networks against networkx, on random graphs."""

import random
from itertools import pairwise

import pytest

from k40s.ledger.entry import Owner
from k40s.network.fit import find_reservation
from k40s.network.model import (
    Link,
    Member,
    Network,
    NetworkReservation,
    NetworkState,
    Path,
    PathRequirement,
)
from k40s.reasons import Reason
from k40s.units import Nanoseconds
from tests.oracles.network_paths import graph, shortest

GRAPHS_PER_SEED = 100
PODS = 6


def random_network(chance: random.Random) -> Network:
    """Members and switches; some links without a bound, some vertices without a link."""
    size = chance.randint(2, 12)
    vertices = [f"n{index}" for index in range(size)]
    links: dict[frozenset[str], Link] = {}
    for _ in range(chance.randint(1, 3 * size)):
        left, right = chance.sample(vertices, 2)
        links[frozenset((left, right))] = Link(
            ends=(left, right),
            delay=Nanoseconds(chance.choice((0, 1, 5, 10, 10, 20))),
            capacity=chance.choice((None, 10, 20, 30, 50)),
        )
    members = chance.sample(vertices, chance.randint(2, size))
    return Network(
        name="lan",
        members=tuple(Member(node=node, interface="eth0") for node in members),
        links=tuple(links.values()),
    )


def plain(network: Network) -> list[tuple[str, str, int, int | None]]:
    return [(*link.ends, link.delay, link.capacity) for link in network.links]


def held_by(state: NetworkState) -> list[tuple[tuple[str, ...], int]]:
    return [(path.nodes, path.bandwidth) for one in state.reservations for path in one.paths]


def expected(state: NetworkState, node: str, need: PathRequirement) -> int | Reason:
    """The delay of the path, or the reason why there is none."""
    network = graph(plain(state.network), held_by(state))
    if node == need.peer:
        return 0
    nearest = shortest(network, node, need.peer, 0)
    if nearest is None:
        return Reason.NETWORK_NO_PATH
    if need.delay is not None and nearest > need.delay:
        return Reason.NETWORK_DELAY
    found = shortest(network, node, need.peer, need.bandwidth or 0)
    if found is None or (need.delay is not None and found > need.delay):
        return Reason.NETWORK_CAPACITY
    return found


def delay_of(path: Path, network: Network) -> int:
    delays = {frozenset(link.ends): link.delay for link in network.links}
    return sum(delays[frozenset(ends)] for ends in pairwise(path.nodes))


def check_room(state: NetworkState) -> None:
    rooms = graph(plain(state.network), held_by(state)).edges.data("room")
    assert all(room >= 0 for _, _, room in rooms)


@pytest.mark.parametrize("seed", range(12))
def test_paths_are_shortest_and_leave_no_link_overbooked(seed: int) -> None:
    chance = random.Random(seed)
    decided = {"granted": 0, "refused": 0}
    for _ in range(GRAPHS_PER_SEED):
        state = NetworkState(network=random_network(chance))
        nodes = [member.node for member in state.network.members]
        for pod in range(PODS):
            need = PathRequirement(
                network="lan",
                peer=chance.choice(nodes),
                delay=chance.choice((None, Nanoseconds(10), Nanoseconds(30))),
                bandwidth=chance.choice((None, 5, 10, 20)),
            )
            node, owner = chance.choice(nodes), Owner(uid=f"{pod}", namespace="n", name="p")

            found = find_reservation(state, node, owner, [need], places=lambda peer: peer)

            wanted = expected(state, node, need)
            if isinstance(found, Reason):
                assert found == wanted
                decided["refused"] += 1
                continue
            (path,) = found.paths
            assert (path.nodes[0], path.nodes[-1]) == (node, need.peer)
            assert delay_of(path, state.network) == wanted
            state = NetworkState(network=state.network, reservations=(*state.reservations, found))
            check_room(state)
            decided["granted"] += 1

    assert min(decided.values()) > GRAPHS_PER_SEED // 2


@pytest.mark.parametrize("seed", range(3))
def test_what_is_given_back_can_be_had_again(seed: int) -> None:
    chance = random.Random(1000 + seed)
    for _ in range(GRAPHS_PER_SEED):
        empty = NetworkState(network=random_network(chance))
        nodes = [member.node for member in empty.network.members]
        need = PathRequirement(network="lan", peer=nodes[0], bandwidth=10)
        first, other = (Owner(uid=uid, namespace="n", name=uid) for uid in ("a", "b"))

        found = find_reservation(empty, nodes[1], first, [need], places=lambda peer: peer)

        if isinstance(found, NetworkReservation):
            taken = NetworkState(network=empty.network, reservations=(found,))
            again = find_reservation(taken, nodes[1], first, [need], places=lambda peer: peer)
            assert again == found
            released = NetworkState(network=empty.network)
            once_more = find_reservation(released, nodes[1], other, [need], places=lambda p: p)
            assert isinstance(once_more, NetworkReservation)
            assert once_more.paths == found.paths
