"""One node on this machine: containerd, kubelet and kube-proxy in a sandbox."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from localcluster.components import containerd
from localcluster.host.cgroups import Binding, CgroupTree
from localcluster.host.commands import run
from localcluster.host.sandbox import Sandbox, anchor_name, open_sandbox
from localcluster.host.sockets import answers
from localcluster.nodes.files import NodeFiles
from localcluster.nodes.layout import (
    ETC,
    MOUNTS,
    ONLINE_CPUS,
    NodeResources,
    format_cpus,
)

_CONTAINERD_TIMEOUT = 60


class Node:
    """Brings one node up; every step is idempotent."""

    def __init__(self, files: NodeFiles, *, cgroup: CgroupTree, resources: NodeResources) -> None:
        self.names = files.names
        self.settings = files.settings
        self.number = files.number
        self.plan = files.plan
        self._files = files
        self._directory = files.directory
        self._binaries = files.plane.binaries
        self._supervisor = files.plane.supervisor
        self._cgroup = cgroup
        self._resources = resources

    @property
    def components(self) -> tuple[str, ...]:
        """The supervised processes that a Ready node needs, kubelet first."""
        return (self.names.component("kubelet"), self.names.component("containerd"))

    def open(self) -> Sandbox:
        """Make the node's namespaces and cgroup; a real-time node has its CPUs alone in v2."""
        mounts = {target: self._directory / name for target, name in MOUNTS.items()}
        if self._supervisor.pid(anchor_name(self.names.node)) is None:
            # Processes of an earlier sandbox are in namespaces that nobody can enter any more.
            self._cgroup.remove()
            shutil.rmtree(mounts[containerd.STATE], ignore_errors=True)
        for source in mounts.values():
            source.mkdir(parents=True, exist_ok=True)
        online = self._directory / "cpus-online"
        online.write_text(format_cpus(self._resources.cpus) + "\n", encoding="ascii")
        return open_sandbox(
            self.names.node,
            supervisor=self._supervisor,
            cgroup=self._cgroup,
            cpus=format_cpus(self._resources.cpus),
            mounts={ONLINE_CPUS: online, **mounts},
            binding=Binding.ALONE if self.settings.real_time else Binding.BOUND,
        )

    def start_containerd(self, sandbox: Sandbox, *, pause_image: str, cni_plugins: Path) -> None:
        """Start containerd and wait until it answers."""
        changed = self._files.write_containerd(pause_image=pause_image, cni_plugins=cni_plugins)
        self._start(sandbox, "containerd", self._files.containerd_command(), changed=changed)
        name = self.names.component("containerd")
        self._supervisor.wait_ready(
            name, lambda: answers(self._socket), timeout=_CONTAINERD_TIMEOUT, what="answering"
        )

    def load_image(self, sandbox: Sandbox, archive: Path) -> None:
        """Import a docker archive, ``<image>-<key>.tar``, unless that key is there already."""
        loaded = self._directory / "loaded" / archive.name
        if loaded.exists():
            return
        # The archive is looked up in the node's mount namespace, where it may be hidden.
        visible = self._directory / "kubernetes" / "image.tar"
        visible.unlink(missing_ok=True)
        try:
            visible.hardlink_to(archive)
        except OSError:
            visible.write_bytes(archive.read_bytes())
        run(sandbox.inside(containerd.import_command(ETC / visible.name)), timeout=600)
        visible.unlink()
        loaded.parent.mkdir(exist_ok=True)
        for older in loaded.parent.glob(f"{archive.name.rpartition('-')[0]}-*"):
            older.unlink()
        loaded.touch()

    def start_kubelet(self, sandbox: Sandbox) -> None:
        """Start kubelet, which registers the node with its labels."""
        changed = self._files.write_kubelet(
            cgroup=self.names.cgroup, reserved=self._resources.reserved
        )
        command = self._files.kubelet_command(self._binaries.path("kubelet"))
        self._start(sandbox, "kubelet", command, changed=changed)

    def start_proxy(self, sandbox: Sandbox) -> None:
        """Start kube-proxy, which needs the Node object to exist."""
        changed = self._files.write_proxy()
        command = self._files.proxy_command(self._binaries.path("kube-proxy"))
        self._start(sandbox, "kube-proxy", command, changed=changed)

    def write_daemon_settings(self) -> None:
        """Settings of k40s's daemons on this node, as all nodes share one machine."""
        self._files.write_daemon_settings(
            {
                "K40S_CPUS": format_cpus(self._resources.cpus),
                "K40S_CGROUP_ROOT": f"/{self.names.cgroup}",
                "K40S_RT_CAPACITY": str(float(self._resources.rt_capacity)),
                "K40S_GROUP_PREFIX": self.names.budget_groups,
                # A level recovers at once and always as fast: the cluster is there to be stressed.
                "K40S_GAMMA_QUIET": "10s",
                "K40S_GAMMA_LONGEST_QUIET": "10s",
                # No RTnet here: slots are granted and written down, and nothing enforces them.
                "K40S_NETWORK_BACK_END": "none",
            }
        )

    @property
    def _socket(self) -> Path:
        return self._directory / "containerd-run" / containerd.SOCKET.name

    def _start(
        self, sandbox: Sandbox, component: str, argv: Sequence[str], *, changed: bool
    ) -> None:
        name = self.names.component(component)
        if changed:
            self._supervisor.stop(name)
        self._supervisor.start(name, sandbox.inside(argv), adopt=sandbox.adopt)
