"""The disks of a guest node: its system, and the images of its pods.

Both are made on the machine, unpacked and all, since everything takes ten times as long in the
guest. A guest changes neither: its writes go to a snapshot that ends with it.
"""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from localcluster.errors import LocalClusterError
from localcluster.guest.boot import FIRST_PROGRAM, write_boot_archive
from localcluster.guest.kernels import GuestKernel
from localcluster.guest.modules import MODULES, install_modules
from localcluster.host.commands import run
from localcluster.host.files import locked
from localcluster.host.processes import Supervisor
from localcluster.host.sockets import answers
from localcluster.images.binaries import Binaries
from localcluster.images.cluster_images import digest, file_digest
from localcluster.images.debian import bootstrap, recipe
from localcluster.progress import Progress

PROGRAMS = ("kubelet", "kube-proxy")
"""Taken from the cluster's binaries; they are in /usr/local/bin."""

_PACKAGES = (
    *("base-files", "dash", "coreutils", "util-linux", "mount", "libc-bin", "procps"),
    *("busybox-static", "kmod", "iproute2", "nftables", "iptables", "conntrack"),
    *("containerd", "runc", "containernetworking-plugins"),
)
_ROOM = 1 << 30
"""Free space on a disk, in bytes."""
_BLOCK = 4096
_TIMEOUT = 900
_CONTAINERD = "containerd"
_CONTAINERD_TIMEOUT = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemDisk:
    """The root file system, and the archive that the kernel starts from to find it."""

    image: Path
    boot: Path


class DiskStore:
    """File system images in ``directory``; older ones of the same name are dropped."""

    def __init__(self, cache: Path, *, progress: Progress) -> None:
        self.directory = cache / "guests"
        self._progress = progress

    def system(self, kernel: GuestKernel, binaries: Binaries) -> SystemDisk:
        """Debian's containerd and what it needs, kernel modules, kubelet and kube-proxy."""
        programs = {name: binaries.path(name) for name in PROGRAMS}
        key = digest(
            [
                kernel.release.encode(),
                *(word.encode() for word in (*recipe(_PACKAGES), *MODULES, FIRST_PROGRAM)),
                *(file_digest(path) for path in programs.values()),
            ]
        )

        boot = self.directory / f"system-{key}.cpio"

        def fill(root: Path) -> None:
            _unpack(root)
            install_modules(kernel, root)
            write_boot_archive(boot, root=root, release=kernel.release)
            own = root / "usr/local/bin"
            own.mkdir(parents=True, exist_ok=True)
            for name, path in programs.items():
                shutil.copy(path, own / name)

        return SystemDisk(image=self.ensure("system", key, fill), boot=boot)

    def images(self, archives: Sequence[Path]) -> Path:
        """Containerd's own directory, with these docker archives as it leaves them."""
        key = digest(sorted(archive.name.encode() for archive in archives))
        return self.ensure("images", key, lambda root: _unpack_images(archives, root))

    def ensure(
        self, name: str, key: str, fill: Callable[[Path], None], *, room: int = _ROOM
    ) -> Path:
        """The disk ``<name>-<key>.img``, made when it is missing, with ``room`` bytes to spare.

        ``fill`` gets an empty directory for what is to be on it.
        """
        target = self.directory / f"{name}-{key}.img"
        with locked(self.directory / f"{name}.lock"):
            if not target.exists():
                with self._progress.step(f"making the guest's {name} disk"):
                    self._make(target, fill, room)
                for old in self.directory.glob(f"{name}-*.*"):
                    if old.stem != target.stem:  # a guest that runs keeps its own until it ends
                        old.unlink()
        return target

    def _make(self, target: Path, fill: Callable[[Path], None], room: int) -> None:
        with tempfile.TemporaryDirectory(dir=self.directory, prefix="disk-") as scratch:
            root, image = Path(scratch) / "root", Path(scratch) / "image"
            root.mkdir(mode=0o755)
            fill(root)
            blocks = (_size(root) * 5 // 4 + room) // _BLOCK
            words = ("mke2fs", "-q", "-t", "ext4", "-b", str(_BLOCK), "-O", "^has_journal")
            run([*words, "-d", root, image, str(blocks)], timeout=_TIMEOUT)
            image.replace(target)


def _unpack(root: Path) -> None:
    tar = root.with_suffix(".tar")
    bootstrap(tar, _PACKAGES)
    run(["tar", "--extract", f"--file={tar}", f"--directory={root}"], timeout=_TIMEOUT)
    tar.unlink()
    for name in ("var/lib/containerd", "var/lib/k40s", "etc/k40s-guest"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("iptables", "ip6tables", "iptables-save", "iptables-restore"):
        link = root / "usr/sbin" / name  # no maintainer script has made it
        if not link.exists():
            link.symlink_to("xtables-nft-multi")


def _unpack_images(archives: Sequence[Path], root: Path) -> None:
    """Import docker archives with a containerd of our own, whose root directory is ``root``.

    It runs in a mount namespace of its own and serves nothing else; its state is thrown away.
    """
    with tempfile.TemporaryDirectory(prefix="k40s-images-") as scratch:
        state = Path(scratch)
        config = state / "config.toml"
        address = state / "containerd.sock"
        config.write_text(_containerd_configuration(root, state, address), encoding="utf-8")
        supervisor = Supervisor(records=state / "processes", logs=state / "logs")
        enter = ("unshare", "--mount", "--propagation", "private", "--")
        supervisor.start(_CONTAINERD, [*enter, "containerd", f"--config={config}"])
        try:
            supervisor.wait_ready(
                _CONTAINERD, lambda: answers(address), timeout=_CONTAINERD_TIMEOUT
            )
            client = ("ctr", f"--address={address}", "--namespace=k8s.io", "images", "import")
            for archive in archives:
                run([*client, archive], timeout=_TIMEOUT)
        finally:
            supervisor.stop(_CONTAINERD)
    if not (root / "io.containerd.metadata.v1.bolt" / "meta.db").exists():
        raise LocalClusterError(f"containerd has left nothing in {root}")


def _containerd_configuration(root: Path, state: Path, address: Path) -> str:
    return f"""\
version = 2
root = "{root}"
state = "{state / "run"}"
disabled_plugins = ["io.containerd.grpc.v1.cri"]

[grpc]
  address = "{address}"
"""


def _size(root: Path) -> int:
    used = run(["du", "--summarize", "--block-size=1", root], timeout=_TIMEOUT)
    return int(used.split()[0])
