"""Settings of a local cluster. The defaults are the demo's: one real-time node, one other."""

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from localcluster.addresses import MAX_NODES
from localcluster.host.paths import RUN_ROOT, STATE_ROOT

_NAME = re.compile(r"[a-z][a-z0-9]{0,11}", re.ASCII)
_RESERVED = {"rt", "claims", "lock"}
_MAX_HARDWARE_ASSURANCE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """One node; ``hardware_assurance`` (0 to 5) is what its operator vouches for.

    A ``guest`` is an emulated machine with another kernel; the others share this machine's.
    """

    name: str
    real_time: bool
    platform: str
    hardware_assurance: int
    guest: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.hardware_assurance <= _MAX_HARDWARE_ASSURANCE:
            raise ValueError(f"hardware assurance is 0 to 5, not {self.hardware_assurance}")


EDGE_NODES = (
    NodeSettings(name="edge-1", real_time=True, platform="edge", hardware_assurance=5),
    NodeSettings(name="edge-2", real_time=False, platform="edge", hardware_assurance=2),
)

GUEST_NODE = NodeSettings(
    name="edge-3", real_time=True, platform="emulated", hardware_assurance=4, guest=True
)
"""An emulated CPU takes some ten times as long: WCETs measured on another do not hold on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """One cluster.

    ``real_time_cpus`` counts the CPUs that its real-time nodes share and no other cluster's
    real-time node gets; ``rt_capacity`` is its part of the machine's real-time bandwidth.
    ``binaries`` is a directory of official binaries, used instead of building them. ``patience``
    is by how much longer to wait for anything: 1 but on a machine that is slow, as an emulated one.
    """

    name: str = "demo"
    nodes: tuple[NodeSettings, ...] = EDGE_NODES
    real_time_cpus: int = 1
    rt_capacity: Fraction = Fraction(45, 100)
    binaries: Path | None = None
    patience: int = 1
    state_root: Path = STATE_ROOT
    run_root: Path = RUN_ROOT

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None or self.name in _RESERVED:
            raise ValueError(
                f"a cluster's name is 1 to 12 small letters and digits, a letter first, and none "
                f"of {', '.join(sorted(_RESERVED))}: not {self.name!r}"
            )
        if not 1 <= len(self.nodes) <= MAX_NODES:
            raise ValueError(f"a cluster has 1 to {MAX_NODES} nodes, not {len(self.nodes)}")
        if all(node.guest for node in self.nodes):
            raise ValueError("a cluster needs a node that is no guest")
        if self.patience < 1:
            raise ValueError(f"patience is 1 or more, not {self.patience}")
        if self.real_time_cpus < 1:
            raise ValueError(f"real_time_cpus must be at least 1, not {self.real_time_cpus}")
        if not 0 < self.rt_capacity < 1:
            raise ValueError(f"rt_capacity must be between 0 and 1, not {self.rt_capacity}")
