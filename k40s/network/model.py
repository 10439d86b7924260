"""Values of a Network (custom resource, the paper's NW_q) and of what pods require of networks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from k40s.ledger.entry import Entry
from k40s.tdma.model import Cycle, SlotGrant, SlotRequest
from k40s.units import Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A node on the network. ``jitter`` is how late its own packets may leave."""

    node: str
    interface: str
    jitter: Nanoseconds = Nanoseconds(0)

    def __post_init__(self) -> None:
        if self.jitter < 0:
            raise ValueError("jitter is not negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link between two vertices (nodes, or switches by any other name), in both directions.

    ``capacity`` in bit/s holds for each direction; None is without a bound.
    """

    ends: tuple[str, str]
    delay: Nanoseconds
    capacity: int | None = None

    def __post_init__(self) -> None:
        if self.ends[0] == self.ends[1]:
            raise ValueError("a link has two ends")
        if self.delay < 0 or (self.capacity is not None and self.capacity <= 0):
            raise ValueError("a link's delay is not negative, its capacity above zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tdma:
    """The TDMA half of a Network: its cycle, and which nodes send Sync."""

    cycle: Cycle
    master: str
    backup_masters: Mapping[str, Nanoseconds] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.master in self.backup_masters:
            raise ValueError("a backup master is another node than the master")
        if sorted(self.backup_masters.values()) != sorted(self.cycle.backup_offsets):
            raise ValueError("the cycle keeps the offsets of the backup masters free")


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

    def __post_init__(self) -> None:
        nodes = {one.node for one in self.members}
        if len(nodes) != len(self.members):
            raise ValueError("each node is a member once")
        if self.tdma is not None and (self.links or self.delays):
            raise ValueError("a network has either a cycle, or links and delays")
        if self.tdma is not None and not nodes.issuperset(
            (self.tdma.master, *self.tdma.backup_masters)
        ):
            raise ValueError("masters are members")
        if any(delay < 0 for delay in self.delays.values()):
            raise ValueError("a delay is not negative")

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
class Path:
    """Capacity reserved towards one peer: the vertices from the pod's node to the peer's."""

    peer: str
    nodes: tuple[str, ...]
    bandwidth: int

    def __post_init__(self) -> None:
        if not self.nodes or self.bandwidth < 0:
            raise ValueError("a path has vertices, and no negative bandwidth")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkReservation(Entry):
    """What one pod holds of one network: an entry of ``Network.status.reservations``."""

    slots: tuple[SlotGrant, ...] = ()
    paths: tuple[Path, ...] = ()


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

    @property
    def name(self) -> str:
        """The object's name."""
        return self.network.name
