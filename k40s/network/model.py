"""Values of a Network (custom resource, the paper's NW_q) and of what pods require of networks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from k40s.tdma.model import Cycle, SlotGrant, SlotRequest
from k40s.units import Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A node on the network. ``jitter`` is how late its own packets may leave."""

    node: str
    interface: str
    jitter: Nanoseconds = Nanoseconds(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link between two vertices (nodes, or switches by any other name), in both directions.

    ``capacity`` in bit/s holds for each direction; None is without a bound.
    """

    ends: tuple[str, str]
    delay: Nanoseconds
    capacity: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tdma:
    """The TDMA half of a Network: its cycle, and which nodes send Sync."""

    cycle: Cycle
    master: str
    backup_masters: Mapping[str, Nanoseconds] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What an operator declares: a TDMA network (``tdma``), or a best-effort one with links.

    ``delays`` is a matrix ``(from, to) -> delay`` that replaces what links say of delay; measured
    delays of the status come on top of it. ``generation`` is that of the object.
    """

    name: str
    members: tuple[Member, ...]
    tdma: Tdma | None = None
    links: tuple[Link, ...] = ()
    delays: Mapping[tuple[str, str], Nanoseconds] = field(default_factory=dict)
    generation: int = 0

    def member(self, node: str) -> Member | None:
        """The node's membership, if it is a member."""
        return next((one for one in self.members if one.node == node), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRequirement:
    """A pod needs a slot on a TDMA network."""

    network: str
    request: SlotRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRequirement:
    """A pod needs to reach a peer within a delay, with a bandwidth, in both directions.

    ``peer`` is a node's name or a pod as ``namespace/name``. ``bandwidth`` in bit/s.
    """

    network: str
    peer: str
    delay: Nanoseconds | None = None
    bandwidth: int | None = None


Requirement = SlotRequirement | PathRequirement


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The pod that holds a reservation."""

    uid: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Capacity reserved towards one peer: the vertices from the pod's node to the peer's."""

    peer: str
    nodes: tuple[str, ...]
    bandwidth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkReservation:
    """What one pod holds of one network: an entry of ``Network.status.reservations``.

    ``until``: unless the pod is bound to ``node`` by then, it may be collected; None once bound.
    ``attempt`` names the bind that made it.
    """

    owner: Owner
    node: str
    slots: tuple[SlotGrant, ...] = ()
    paths: tuple[Path, ...] = ()
    attempt: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkState:
    """A Network with what is reserved on it, at one version of the object.

    ``fault`` is why the Network cannot be used, if it cannot: it names the field.
    """

    network: Network
    reservations: tuple[NetworkReservation, ...] = ()
    measured: Mapping[tuple[str, str], Nanoseconds] = field(default_factory=dict)
    resource_version: str = ""
    fault: str | None = None
