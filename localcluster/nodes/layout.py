"""A node's names, resources and mounted directories. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from localcluster.components import containerd, kubelet

ETC = Path("/etc/kubernetes")
DAEMON_SETTINGS = Path("/etc/k40s")

MOUNTS: Mapping[Path, str] = {
    ETC: "kubernetes",
    DAEMON_SETTINGS: "k40s",
    kubelet.ROOT: "kubelet",
    kubelet.POD_LOGS: "pod-logs",
    Path("/var/log/containers"): "container-logs",
    containerd.ROOT: "containerd",
    containerd.STATE: "containerd-run",
    Path("/etc/cni"): "cni",
    Path("/var/lib/cni"): "cni-state",
    Path("/run/k40s/overruns"): "k40s-overruns",
    Path("/var/lib/k40s"): "k40s-state",  # the last, for it hides all these directories
}
"""A node's own directories: where the node sees them, and their names in its state directory."""

ONLINE_CPUS = Path("/sys/devices/system/cpu/online")
"""From here kubelet learns which CPUs there are; it writes them into its pods' cpuset."""

REAL_TIME_NODE_LABEL = "k40s.io/real-time-node"
"""The operator's choice of the nodes on which Rubicante runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeResources:
    """A node's share of the machine."""

    cpus: tuple[int, ...]
    reserved: Mapping[str, str]
    rt_capacity: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeNames:
    """Names of cgroups and components, for one node of one cluster."""

    cluster: str
    node: str

    @property
    def cgroup(self) -> str:
        """The node's cgroup, kubelet's root and its daemons' (without the leading slash)."""
        return f"k40s-{self.cluster}-{self.node}"

    @property
    def budget_groups(self) -> str:
        """The prefix of the real-time budget groups that the node's daemon makes."""
        return f"k40s-rt-{self.cluster}-{self.node}"

    def component(self, component: str) -> str:
        """The supervised name of a component of this node."""
        return f"{self.node}.{component}"


def format_cpus(cpus: Sequence[int]) -> str:
    """CPUs as the kernel reads them, such as ``0,2``."""
    return ",".join(map(str, cpus))
