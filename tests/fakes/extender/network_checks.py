"""What has to hold of Networks, found without the code that reserves: slots unrolled in time."""

from collections.abc import Iterable
from math import lcm

from k40s.network.model import Network, NetworkReservation


def colliding_slots(network: Network, reservations: Iterable[NetworkReservation]) -> list[str]:
    """Pairs of slots that meet in any cycle of the hyperperiod, as text; and those on a Sync."""
    assert network.tdma is not None
    cycle = network.tdma.cycle
    named = [
        (f"{held.owner.name}@{held.node}[{number}]", window)
        for held in reservations
        for grant in held.slots
        for number, window in enumerate(grant.windows)
    ]
    found = []
    for count in range(lcm(1, *(window.every for _, window in named))):
        now = sorted(
            (window.offset, window.offset + window.length, name)
            for name, window in named
            if count % window.every == window.phase
        )
        last_end, last = 84 * 8 * 10**9 // cycle.bit_rate + cycle.sync_lateness, "Sync"
        for start, end, name in now:
            if start < last_end or end > cycle.period:
                found.append(f"cycle {count}: {last} and {name}")
            last_end, last = max(last_end, end), name
    return found


def overloaded_links(network: Network, reservations: Iterable[NetworkReservation]) -> list[str]:
    """Links on which more is reserved than they carry, as text."""
    used: dict[frozenset[str], int] = {}
    for held in reservations:
        for path in held.paths:
            for index in range(len(path.nodes) - 1):
                ends = frozenset(path.nodes[index : index + 2])
                used[ends] = used.get(ends, 0) + path.bandwidth
    return [
        f"{sorted(link.ends)}: {used[frozenset(link.ends)]} of {link.capacity}"
        for link in network.links
        if link.capacity is not None and used.get(frozenset(link.ends), 0) > link.capacity
    ]


def owners(reservations: Iterable[NetworkReservation]) -> list[str]:
    """The UIDs of those who hold something; one that holds two entries stands there twice."""
    return sorted(held.owner.uid for held in reservations)
