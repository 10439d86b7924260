"""Images unpacked before a guest boots: containerd does it here, where it is ten times as fast."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from localcluster.commands import run
from localcluster.errors import LocalClusterError
from localcluster.processes import Supervisor
from localcluster.sockets import answers

_NAME = "containerd"
_START_TIMEOUT = 120
_IMPORT_TIMEOUT = 900


def unpack_images(archives: Sequence[Path], root: Path) -> None:
    """Import docker archives with a containerd of our own, whose root directory is ``root``.

    It runs in a mount namespace of its own and serves nothing else; its state is thrown away.
    """
    with tempfile.TemporaryDirectory(prefix="k40s-images-") as scratch:
        state = Path(scratch)
        config = state / "config.toml"
        address = state / "containerd.sock"
        config.write_text(_configuration(root, state, address), encoding="utf-8")
        supervisor = Supervisor(records=state / "processes", logs=state / "logs")
        enter = ("unshare", "--mount", "--propagation", "private", "--")
        supervisor.start(_NAME, [*enter, "containerd", f"--config={config}"])
        try:
            supervisor.wait_ready(_NAME, lambda: answers(address), timeout=_START_TIMEOUT)
            client = ("ctr", f"--address={address}", "--namespace=k8s.io", "images", "import")
            for archive in archives:
                run([*client, archive], timeout=_IMPORT_TIMEOUT)
        finally:
            supervisor.stop(_NAME)
    if not (root / "io.containerd.metadata.v1.bolt" / "meta.db").exists():
        raise LocalClusterError(f"containerd has left nothing in {root}")


def _configuration(root: Path, state: Path, address: Path) -> str:
    return f"""\
version = 2
root = "{root}"
state = "{state / "run"}"
disabled_plugins = ["io.containerd.grpc.v1.cri"]

[grpc]
  address = "{address}"
"""
