"""Requests to rubicante, and its state, in few words."""

from dataclasses import dataclass

from daemons.rubicante.cluster.node_state import NodeState
from daemons.rubicante.mechanisms.capability import Capability
from k40s.node_api.messages import (
    ReservationRequest,
    format_reservation_request,
)
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from tests.fakes.rubicante.world import World, ask, node, uid

PATH = f"/v1/reservations/{uid(1)}"


@dataclass(frozen=True)
class Found:
    """Implements ``CapabilitySource``."""

    capability: Capability

    def timer(self) -> None:
        return None


def state_of(world: World, *problems: str, exchanges: bool = True) -> NodeState:
    capability = Capability(
        problems=problems,
        warnings=(),
        bandwidth=node().node_capacity,
        deadline=None,
        tick=Nanoseconds(4 * NS_PER_MS),
        cores=frozenset({0, 1}),
    )
    return NodeState(
        book=world.book,
        mechanisms=Found(capability),
        endpoint="https://10.0.0.1:8441",
        lease=Nanoseconds(30 * NS_PER_S),
        enforcement=world.enforcer,
        exchanges=exchanges,
    )


def body(request: ReservationRequest | None = None) -> bytes:
    return format_reservation_request(request or ask(1))
