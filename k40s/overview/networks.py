"""Networks -> rows with their slots. Pure."""

from k40s.kube.records import NetworkRecord
from k40s.network.model import NetworkReservation
from k40s.network.usage import utilization
from k40s.overview.model import NetworkRow, SlotRow
from k40s.reasons import Reason
from k40s.units import NS_PER_US

_DIGITS = 6


def network_row(record: NetworkRecord) -> tuple[NetworkRow, tuple[str, ...]]:
    """The network's row, and which of its fields could not be read and why."""
    state = record.state
    network = state.network
    slots = [slot for one in state.reservations for slot in _slots(one)]
    kind = "TDMA" if network.tdma is not None else "BestEffort" if network.members else "Unknown"
    row = NetworkRow(
        name=record.name,
        kind=kind,
        cycle=None if network.tdma is None else network.tdma.cycle.period / NS_PER_US,
        utilization=round(float(utilization(state)), _DIGITS),
        slots=tuple(sorted(slots, key=lambda one: (one.offset, one.phase))),
        nodes=tuple(one.node for one in network.members),
        refusal=None if state.fault is None else Reason.NETWORK_INVALID,
    )
    return row, tuple(f"network {record.name}: {one.text}" for one in record.faults)


def _slots(reservation: NetworkReservation) -> list[SlotRow]:
    owner = reservation.owner
    return [
        SlotRow(
            pod_uid=owner.uid,
            namespace=owner.namespace,
            pod=owner.name,
            node=reservation.node,
            offset=window.offset / NS_PER_US,
            length=window.length / NS_PER_US,
            period=window.every,
            phase=window.phase,
        )
        for grant in reservation.slots
        for window in grant.windows
    ]
