"""A node that is a guest: a kernel and a /proc of its own, cgroup v2, PREEMPT_RT.

It has a port of the cluster's bridge like the others. Its disks hold all that its pods run, so a
new image means new disks and a restart; whatever it wrote is then gone, as from a machine whose
disk was replaced.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from localcluster.components import containerd
from localcluster.guest.boot import NETWORK_COMMANDS, SECOND_PROGRAM, node_archive, second_program
from localcluster.guest.disks import DiskStore
from localcluster.guest.kernels import GuestKernel
from localcluster.guest.modules import MODULES
from localcluster.guest.qemu import CPUS, Emulation, command
from localcluster.host.cgroups import CgroupTree
from localcluster.host.network import connect_tap, node_commands
from localcluster.host.sandbox import SYSTEM_GROUP, Sandbox
from localcluster.images.cluster_images import digest
from localcluster.nodes.files import NodeFiles
from localcluster.nodes.layout import DAEMON_SETTINGS, ETC, format_cpus

_MEMORY = 1500
_PROGRAMS = Path("/usr/local/bin")
_CNI_PLUGINS = Path("/usr/lib/cni")
_MACHINE = "machine"
_IMAGES = ("pause", "k40s", "workload")
"""The archives that its pods need; the others are for nodes that are not real-time nodes."""
_FILES = {
    "etc/hosts": "127.0.0.1 localhost\n",  # without it containerd makes no sandbox
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",  # without it kubelet does not start
    "etc/group": "root:x:0:\n",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestParts:
    """The kernel and the disks of guests."""

    kernel: GuestKernel
    disks: DiskStore


class GuestNode:
    """Brings the guest up; what runs already and has not changed is left alone."""

    def __init__(self, files: NodeFiles, *, cgroup: CgroupTree, parts: GuestParts) -> None:
        self.names = files.names
        self.settings = files.settings
        self._files = files
        self._directory = files.directory
        self._plane = files.plane
        self._cgroup = cgroup
        self._parts = parts

    @property
    def components(self) -> tuple[str, ...]:
        """The supervised processes that a Ready guest needs."""
        return (self.names.component(_MACHINE),)

    def start(
        self, control: Sandbox, *, nodes: int, cpus: str, pause_image: str, archives: Sequence[Path]
    ) -> None:
        """Start the guest with these images, unless it runs with them; do not wait for it.

        ``nodes`` is how many the cluster has, ``cpus`` those of the machine that it may use.
        """
        self._files.write_containerd(pause_image=pause_image, cni_plugins=_CNI_PLUGINS)
        self._files.write_kubelet(cgroup="", reserved={})
        self._files.write_proxy()
        self._files.write_daemon_settings({"K40S_CPUS": format_cpus(range(1, CPUS))})
        system = self._parts.disks.system(self._parts.kernel, self._plane.binaries)
        images = self._parts.disks.images(self._record(archives))
        initrd = self._directory / "initrd"
        content = system.boot.read_bytes() + self._archive(nodes)
        name = self.names.component(_MACHINE)
        started_with = self._directory / "started-with"
        parts = f"{system.image}\n{images}\n{digest([content])}\n"
        if not started_with.exists() or started_with.read_text(encoding="utf-8") != parts:
            self._plane.supervisor.stop(name, grace=0)
        if self._plane.supervisor.pid(name) is not None:
            return
        started_with.write_text(parts, encoding="utf-8")
        initrd.touch(mode=0o600)  # it has the node's keys
        initrd.write_bytes(content)
        tap = connect_tap(control, number=self._files.number)
        emulation = Emulation(
            kernel=self._parts.kernel.image,
            initrd=initrd,
            memory=_MEMORY,
            disks=(system.image, images),
            tap=tap,
            hardware_address=f"52:54:00:77:{self._files.plan.index:02x}:{self._files.number:02x}",
        )
        self._cgroup.create(cpus=cpus, below=SYSTEM_GROUP)
        self._plane.supervisor.start(
            name,
            control.inside(command(emulation)),
            adopt=lambda pid: self._cgroup.adopt(pid, below=SYSTEM_GROUP),
        )

    def needs(self, archives: Sequence[Path]) -> bool:
        """Whether it has to be restarted to have these images."""
        known = {Path(line).name for line in self._known()}
        return any(one.name not in known for one in archives if _image_name(one) in _IMAGES)

    def _record(self, archives: Sequence[Path]) -> list[Path]:
        """Record which images it has; of each the latest."""
        latest = {_image_name(path): path for path in map(Path, self._known()) if path.exists()}
        latest |= {_image_name(path): path for path in archives if _image_name(path) in _IMAGES}
        known = self._directory / "archives"
        known.write_text("".join(f"{path}\n" for path in latest.values()), encoding="utf-8")
        return list(latest.values())

    def _known(self) -> list[str]:
        try:
            return (self._directory / "archives").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []

    def _archive(self, nodes: int) -> bytes:
        """The guest's own files, to follow the boot archive."""
        init = second_program(
            name=self.names.node,
            modules=" ".join(MODULES),
            containerd=" ".join(self._files.containerd_command()),
            socket=containerd.SOCKET,
            kubelet=" ".join(self._files.kubelet_command(_PROGRAMS / "kubelet")),
            proxy=" ".join(self._files.proxy_command(_PROGRAMS / "kube-proxy")),
        )
        plan, number = self._files.plan, self._files.number
        network = "\n".join(node_commands(plan, number=number, nodes=nodes))
        files = {
            SECOND_PROGRAM: (init.encode(), 0o755),
            NETWORK_COMMANDS: (f"{network}\n".encode(), 0o644),
            **{name: (text.encode(), 0o644) for name, text in _FILES.items()},
            "etc/hostname": (f"{self.names.node}\n".encode(), 0o644),
            "etc/machine-id": (f"{plan.index:016x}{number:016x}\n".encode(), 0o444),
        }
        for own, seen in (
            ("kubernetes", ETC),
            ("cni", Path("/etc/cni")),
            ("k40s", DAEMON_SETTINGS),
        ):
            for path in sorted((self._directory / own).rglob("*")):
                if path.is_file():
                    target = seen / path.relative_to(self._directory / own)
                    # Keys are root's alone; k40s's settings are read by processes of any user.
                    mode = 0o600 if seen == ETC else 0o644
                    files[str(target).lstrip("/")] = (path.read_bytes(), mode)
        return node_archive(files)


def _image_name(archive: Path) -> str:
    """``k40s`` of ``k40s-<key>.tar``."""
    return archive.name.rpartition("-")[0]
