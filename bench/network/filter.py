"""How long it takes to find which of 500 members a pod fits on, and to read the Network itself.

    python -m bench.network.filter [ROUNDS]

Prints the median and the worst of each, in milliseconds of CPU time.
"""

import itertools
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random

from k40s.ledger.entry import Owner
from k40s.network.fit import NetworksFit, find_reservation
from k40s.network.model import (
    NetworkReservation,
    NetworkState,
    PathRequirement,
    Requirement,
    SlotRequirement,
)
from k40s.network.objects import NetworkReader, parse_network
from k40s.network.reservations import format_reservations
from k40s.reasons import Reason
from k40s.tdma.model import SlotRequest
from k40s.units import NS_PER_MS, Nanoseconds

MEMBERS = 500
JITTERS = ("0us", "5us", "10us")
HELD = 60
SWITCHES = 20
PODS_ON_LINKS = 400
NODES = [f"n{index}" for index in range(MEMBERS)]


def plant() -> dict[str, object]:
    """A TDMA network whose members have one of three jitters."""
    members = [
        {"node": node, "interface": "eth1", "jitter": JITTERS[index % len(JITTERS)]}
        for index, node in enumerate(NODES)
    ]
    tdma = {"cycle": "1ms", "guard": "10us", "bitRate": "100Mbit", "master": NODES[0]}
    return {"members": members, "tdma": tdma}


def office() -> dict[str, object]:
    """Members at twenty switches around a core."""
    links = [
        {"from": node, "to": f"s{index % SWITCHES}", "delay": "100us", "capacity": "1Gbit"}
        for index, node in enumerate(NODES)
    ]
    links += [
        {"from": f"s{index}", "to": "core", "delay": "50us", "capacity": "10Gbit"}
        for index in range(SWITCHES)
    ]
    members = [{"node": node, "interface": "eth0"} for node in NODES]
    return {"members": members, "links": links}


def network_object(
    name: str, spec: object, held: tuple[NetworkReservation, ...]
) -> dict[str, object]:
    status = {"reservations": format_reservations(held)}
    return {"metadata": {"name": name, "resourceVersion": "1"}, "spec": spec, "status": status}


def slot(chance: Random) -> SlotRequirement:
    period = Nanoseconds(chance.choice((2, 4, 5, 10, 20, 50)) * NS_PER_MS)
    request = SlotRequest(period=period, payload=chance.choice((60, 128, 256, 512)))
    return SlotRequirement(network="plant", request=request)


def path(chance: Random) -> PathRequirement:
    return PathRequirement(
        network="office",
        peer=chance.choice(NODES),
        delay=Nanoseconds(5 * NS_PER_MS),
        bandwidth=chance.choice((1, 5, 10)) * 10**6,
    )


def fill(state: NetworkState, need: Callable[[Random], Requirement], pods: int) -> NetworkState:
    chance = Random(1)  # noqa: S311  # repeatable
    for number in range(pods):
        owner = Owner(uid=f"u{number}", namespace="default", name=f"p{number}")
        found = find_reservation(
            state, chance.choice(NODES), owner, [need(chance)], places=lambda peer: peer
        )
        if not isinstance(found, Reason):
            state = replace(state, reservations=(*state.reservations, found))
    return state


def filter_all(states: dict[str, NetworkState], needs: list[Requirement]) -> None:
    owner = Owner(uid="me", namespace="default", name="me")
    fit = NetworksFit(states, owner, needs, places=lambda peer: peer)
    for node in NODES:
        fit.at(node)


def measure(name: str, rounds: int, act: Callable[[], object]) -> None:
    times = []
    for _ in range(rounds):
        begin = time.process_time_ns()
        act()
        times.append((time.process_time_ns() - begin) / NS_PER_MS)
    times.sort()
    print(f"{name:<52} {times[len(times) // 2]:8.2f} {times[-1]:8.2f}")


def main(rounds: int) -> None:
    tdma = fill(parse_network(network_object("plant", plant(), ())), slot, HELD)
    lan = fill(parse_network(network_object("office", office(), ())), path, PODS_ON_LINKS)
    states = {"plant": tdma, "office": lan}
    chance = Random(2)  # noqa: S311  # repeatable
    print(f"{f'ms of CPU time, {MEMBERS} members':<52} {'median':>8} {'worst':>8}")
    held = len(tdma.reservations)
    measure(f"filter, a slot, {held} held", rounds, lambda: filter_all(states, [slot(chance)]))
    held = len(lan.reservations)
    measure(f"filter, a path, {held} held", rounds, lambda: filter_all(states, [path(chance)]))
    measure(
        "filter, a slot and two paths",
        rounds,
        lambda: filter_all(states, [slot(chance), path(chance), path(chance)]),
    )
    for state, spec in ((tdma, plant()), (lan, office())):
        item = network_object(state.network.name, spec, state.reservations)
        name = f"read {state.network.name}, {len(state.reservations)} held"
        measure(name, rounds, partial(parse_network, item))
        reader = NetworkReader()
        reader.read(item)
        left = network_object(state.network.name, spec, state.reservations[1:])
        versions = itertools.cycle((left, item))
        measure(f"{name}, one of them new", rounds, lambda: reader.read(next(versions)))  # noqa: B023


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
