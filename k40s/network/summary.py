"""What is to be said of a Network, concluded from its declaration, reservations and stations."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from k40s.network.conditions import Condition, judge_health, judge_validity
from k40s.network.model import Network, NetworkReservation, NetworkState
from k40s.network.slot_listing import find_stretches, list_free, list_paths, list_slots
from k40s.network.status import NetworkSummary
from k40s.tdma.conflict import check_table
from k40s.tdma.model import SlotTable, Window
from k40s.tdma.utilization import utilization

_NOBODY = "the Sync"


def summarize(
    state: NetworkState,
    reservations: Sequence[NetworkReservation] | None,
    *,
    nodes: Collection[str],
    health: Mapping[str, str],
    former: NetworkSummary,
) -> NetworkSummary:
    """Conclude. ``reservations`` are None where they cannot be read: of them nothing new is said.

    ``nodes`` are the names of all Nodes, ``health`` the codes of living daemons by node.
    """
    network = state.network
    overlap = "" if reservations is None else find_overlap(network, reservations)
    conditions = _by_kind(
        judge_validity(state, nodes, overlap=overlap), judge_health(network, health)
    )
    said = replace(former, observed_generation=network.generation, conditions=conditions)
    if reservations is None:
        return said
    windows = windows_of(reservations)
    free: tuple[str, ...] = ()
    used = fullest_link(network, reservations)
    if network.tdma is not None:
        cycle = network.tdma.cycle
        free = tuple(list_free(find_stretches(cycle, windows)))
        used = utilization(SlotTable(cycle=cycle, windows=windows))
    return replace(
        said,
        slots=len(windows),
        utilization="" if used is None else f"{float(used):.1%}",
        slot_table=tuple(list_slots(reservations)),
        free=free,
        paths=tuple(list_paths(reservations)),
    )


def windows_of(reservations: Sequence[NetworkReservation]) -> tuple[Window, ...]:
    """All slots in use."""
    return tuple(window for one in reservations for grant in one.slots for window in grant.windows)


def find_overlap(network: Network, reservations: Sequence[NetworkReservation]) -> str:
    """Which two slots in use exclude each other, in words; "" for none."""
    if network.tdma is None:
        return ""
    cycle = network.tdma.cycle
    pair = check_table(SlotTable(cycle=cycle, windows=windows_of(reservations)))
    if pair is None:
        return ""
    owners = {
        id(window): f"{one.owner.namespace}/{one.owner.name}"
        for one in reservations
        for grant in one.slots
        for window in grant.windows
    }
    first, second = (owners.get(id(window), _NOBODY) for window in pair)
    return f"the slots of {first} and of {second} overlap under the cycle that is declared"


def fullest_link(network: Network, reservations: Sequence[NetworkReservation]) -> Fraction | None:
    """The largest part of a link's capacity that is reserved; None where no link has a bound.

    A reservation holds in both directions, so both have the same sum.
    """
    reserved: Counter[frozenset[str]] = Counter()
    for one in reservations:
        for path in one.paths:
            for ends in pairwise(path.nodes):
                reserved[frozenset(ends)] += path.bandwidth
    return max(
        (
            Fraction(reserved[frozenset(link.ends)], link.capacity)
            for link in network.links
            if link.capacity
        ),
        default=None,
    )


def _by_kind(*conditions: Condition) -> Mapping[str, Condition]:
    return {one.kind: one for one in conditions}
