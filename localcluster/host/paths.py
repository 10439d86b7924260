"""Paths of a cluster's files: persistent state, and state that ends with the boot."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STATE_ROOT = Path("/var/lib/k40s/local")
RUN_ROOT = Path("/run/k40s/local")


def cache_root(environ: Mapping[str, str]) -> Path:
    """``$XDG_CACHE_HOME/k40s``, by default ``~/.cache/k40s``: builds that outlive clusters."""
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path(environ.get("HOME") or Path.home()) / ".cache") / "k40s"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPaths:
    """The files of one cluster; ``state`` survives a reboot, ``run`` does not have to."""

    state: Path
    run: Path

    @classmethod
    def of(cls, name: str, *, state: Path = STATE_ROOT, run: Path = RUN_ROOT) -> "ClusterPaths":
        """The directories of the cluster with this name."""
        return cls(state=state / name, run=run / name)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.state / "admin.kubeconfig"

    @property
    def pki(self) -> Path:
        """Certificates and keys, readable by root only."""
        return self.state / "pki"

    @property
    def configuration(self) -> Path:
        """Rendered configuration of the components."""
        return self.state / "config"

    @property
    def logs(self) -> Path:
        """One log for each component."""
        return self.state / "logs"

    @property
    def nodes(self) -> Path:
        """The names of the nodes that the cluster was brought up with, one a line."""
        return self.state / "nodes.txt"

    @property
    def processes(self) -> Path:
        """One record for each process that was started."""
        return self.run / "processes"

    def node(self, node: str) -> Path:
        """The directories mounted at a node's usual paths, such as ``/var/lib/kubelet``."""
        return self.state / "nodes" / node
