"""The address plan of a cluster: everything follows from its index on the machine."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

MAX_CLUSTERS = 16
MAX_NODES = 14

SERVICE_RANGE = IPv4Network("10.96.0.0/16")
"""Exists inside the clusters' own namespaces only, so every cluster may use the same."""

API_SERVICE = IPv4Address("10.96.0.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPlan:
    """Addresses and interface names of the cluster with this ``index`` (0 to 15)."""

    index: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < MAX_CLUSTERS:
            raise ValueError(f"index must be 0 to {MAX_CLUSTERS - 1}, not {self.index}")

    @property
    def network(self) -> IPv4Network:
        """The bridge's network: the machine, the control plane and the nodes."""
        return IPv4Network(f"10.77.{self.index}.0/24")

    @property
    def machine(self) -> IPv4Address:
        """The machine's own end, the only address that the cluster adds to it."""
        return self.network[1]

    @property
    def control_plane(self) -> IPv4Address:
        """The API server's address."""
        return self.network[10]

    @property
    def pods(self) -> IPv4Network:
        """Covers the pod networks of all nodes."""
        return IPv4Network(f"10.88.{16 * self.index}.0/20")

    @property
    def link(self) -> str:
        """The name of the machine's end of the link into the cluster."""
        return f"k40s{self.index}"

    def node(self, number: int) -> IPv4Address:
        """The address of a node, counted from 1."""
        return self.network[10 + _checked(number)]

    def node_pods(self, number: int) -> IPv4Network:
        """The addresses of the pods of a node, counted from 1."""
        return IPv4Network(f"10.88.{16 * self.index + _checked(number)}.0/24")


def _checked(number: int) -> int:
    if not 1 <= number <= MAX_NODES:
        raise ValueError(f"a node's number must be 1 to {MAX_NODES}, not {number}")
    return number
