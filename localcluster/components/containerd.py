"""containerd: runs a node's containers with runc."""

from pathlib import Path

STATE = Path("/run/containerd")
"""Path inside a node."""

ROOT = Path("/var/lib/containerd")
SOCKET = STATE / "containerd.sock"
CNI_CONFIGURATION = Path("/etc/cni/net.d")
ISOLATED = "k40s-isolated"
"""A second runtime handler, and the RuntimeClass of it (manifests/overlays/local). It is runc as
well, with a root of its own: it stands for a runtime that isolates more, and isolates no more."""
ISOLATED_ROOT = STATE / "runc-isolated"
"""Where runc keeps the state of containers of that handler."""


def configuration(*, pause_image: str, cni_plugins: Path, isolated: bool = False) -> str:
    """Render ``config.toml`` (version 2, which containerd 1.6 to 2.x read).

    ``isolated`` adds the second runtime handler.
    """
    common = f"""\
version = 2
root = "{ROOT}"
state = "{STATE}"
oom_score = 0

[grpc]
  address = "{SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause_image}"
  # Lowering oom_score_adj takes CAP_SYS_RESOURCE, which containers and some machines lack:
  # without this no sandbox starts there.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  disable_apparmor = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_plugins}"
    conf_dir = "{CNI_CONFIGURATION}"

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""
    return f"{common}{_SECOND_HANDLER}" if isolated else common


_SECOND_HANDLER = f"""\

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{ISOLATED}]
    runtime_type = "io.containerd.runc.v2"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{ISOLATED}.options]
      SystemdCgroup = false
      Root = "{ISOLATED_ROOT}"
"""


def command(binary: str, *, config: Path) -> list[str]:
    """Command line, to be run in the node's namespaces."""
    return [binary, f"--config={config}", "--log-level=info"]


def import_command(archive: Path) -> list[str]:
    """Load a docker archive so that kubelet sees its image."""
    return ["ctr", f"--address={SOCKET}", "--namespace=k8s.io", "images", "import", str(archive)]
