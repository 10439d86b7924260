"""What is to be said of a Network, concluded from its declaration, reservations and stations."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from k40s.ledger.conditions import Condition
from k40s.network.conditions import judge_health, judge_validity
from k40s.network.model import Network, NetworkReservation, NetworkState
from k40s.network.slot_listing import find_stretches, list_free, list_paths, list_slots
from k40s.network.status import NetworkSummary
from k40s.network.usage import utilization, windows_of
from k40s.tdma.conflict import check_table
from k40s.tdma.model import SlotTable

_NOBODY = "the Sync"


def summarize(
    state: NetworkState,
    reservations: Sequence[NetworkReservation] | None,
    *,
    nodes: Collection[str],
    health: Mapping[str, str],
    former: NetworkSummary,
    generation: int | None = None,
) -> NetworkSummary:
    """Conclude. ``reservations`` are None where they cannot be read: of them nothing new is said.

    ``nodes`` are the names of all Nodes, ``health`` the codes of living daemons by node.
    ``generation`` is the object's where the declaration cannot be read.
    """
    network = state.network
    generation = network.generation if generation is None else generation
    overlap = "" if reservations is None else find_overlap(network, reservations)
    said = replace(
        former,
        observed_generation=generation,
        kind=_kind_of(network),
        members=len(network.members),
        conditions=_by_kind(
            replace(judge_validity(state, nodes, overlap=overlap), generation=generation),
            replace(judge_health(network, health), generation=generation),
        ),
    )
    if reservations is None:
        return said
    windows = windows_of(reservations)
    free: tuple[str, ...] = ()
    if network.tdma is not None:
        cycle = network.tdma.cycle
        free = tuple(list_free(find_stretches(cycle, windows)))
    return replace(
        said,
        slots=len(windows),
        utilization=f"{float(utilization(replace(state, reservations=tuple(reservations)))):.1%}",
        slot_table=tuple(list_slots(reservations)),
        free=free,
        paths=tuple(list_paths(reservations)),
    )


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


def _kind_of(network: Network) -> str:
    if network.tdma is not None:
        return "TDMA"
    return "BestEffort" if network.members else "Unknown"


def _by_kind(*conditions: Condition) -> Mapping[str, Condition]:
    return {one.kind: one for one in conditions}
