"""One node: containerd, kubelet and kube-proxy in a place of their own."""

import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from k40s.annotations import PLATFORM_LABEL
from localcluster.addresses import AddressPlan
from localcluster.certificates import KeyPair
from localcluster.cgroups import CgroupTree
from localcluster.commands import run
from localcluster.components import cni, containerd, kube_proxy, kubelet
from localcluster.control_plane import ControlPlane
from localcluster.files import write_changed
from localcluster.kubeconfig import write_kubeconfig
from localcluster.node_layout import (
    ETC,
    MOUNTS,
    ONLINE_CPUS,
    REAL_TIME_NODE_LABEL,
    NodeNames,
    NodeResources,
    format_cpus,
)
from localcluster.places import Place, anchor_name, open_place
from localcluster.settings import NodeSettings

_CONTAINERD_TIMEOUT = 60


class Node:
    """Brings one node up, piece by piece; every step does nothing when it is done already."""

    def __init__(
        self,
        *,
        names: NodeNames,
        settings: NodeSettings,
        number: int,
        directory: Path,
        plan: AddressPlan,
        plane: ControlPlane,
        cgroup: CgroupTree,
        resources: NodeResources,
    ) -> None:
        self.names = names
        self.settings = settings
        self.number = number
        self._directory = directory
        self.plan = plan
        self._plane = plane
        self._binaries = plane.binaries
        self._supervisor = plane.supervisor
        self._cgroup = cgroup
        self._resources = resources

    def open(self) -> Place:
        """Make the node's namespaces and cgroup."""
        mounts = {target: self._directory / name for target, name in MOUNTS.items()}
        if self._supervisor.pid(anchor_name(self.names.node)) is None:
            # What is left of a former life runs in namespaces that nobody can enter any more.
            self._cgroup.remove()
            shutil.rmtree(mounts[containerd.STATE], ignore_errors=True)
        for source in mounts.values():
            source.mkdir(parents=True, exist_ok=True)
        online = self._directory / "cpus-online"
        online.write_text(format_cpus(self._resources.cpus) + "\n", encoding="ascii")
        return open_place(
            self.names.node,
            supervisor=self._supervisor,
            cgroup=self._cgroup,
            cpus=format_cpus(self._resources.cpus),
            mounts={ONLINE_CPUS: online, **mounts},
        )

    def start_containerd(self, place: Place, *, pause_image: str, cni_plugins: Path) -> None:
        """Start containerd and wait until it answers."""
        self._write("cni/net.d/10-local.conflist", self._pod_network())
        text = containerd.configuration(pause_image=pause_image, cni_plugins=cni_plugins)
        changed = self._write("kubernetes/containerd.toml", text)
        command = containerd.command("containerd", config=ETC / "containerd.toml")
        self._start(place, "containerd", command, changed=changed)
        name = self.names.component("containerd")
        self._supervisor.wait_ready(
            name, lambda: _answers(self._socket), timeout=_CONTAINERD_TIMEOUT, what="answering"
        )

    def load_image(self, place: Place, archive: Path) -> None:
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
        run(place.inside(containerd.import_command(ETC / visible.name)), timeout=600)
        visible.unlink()
        loaded.parent.mkdir(exist_ok=True)
        for older in loaded.parent.glob(f"{archive.name.rpartition('-')[0]}-*"):
            older.unlink()
        loaded.touch()

    def start_kubelet(self, place: Place) -> None:
        """Start kubelet, which registers the node with its labels."""
        address = self.plan.node(self.number)
        own = self._directory / "kubernetes" / "pki"
        node = self.names.node
        server = self._plane.authority.issue(
            "kubelet-server", name=node, hosts=[node, address], directory=own
        )
        client = self._plane.authority.issue(
            "kubelet", name=f"system:node:{node}", organizations=["system:nodes"], directory=own
        )
        authority = self._kubeconfig("kubelet", client)
        self._write("kubernetes/resolv.conf", "")
        config = kubelet.configuration(
            cgroup=self.names.cgroup,
            address=address,
            authority=_seen(authority, self._directory),
            server=KeyPair(
                certificate=_seen(server.certificate, self._directory),
                key=_seen(server.key, self._directory),
            ),
            reserved=self._resources.reserved,
            resolv_conf=ETC / "resolv.conf",
        )
        changed = self._write("kubernetes/kubelet.yaml", config)
        command = kubelet.command(
            self._binaries.path("kubelet"),
            config=ETC / "kubelet.yaml",
            kubeconfig=ETC / "kubelet.kubeconfig",
            node=node,
            address=address,
            labels=self._labels(),
        )
        self._start(place, "kubelet", command, changed=changed)

    def start_proxy(self, place: Place) -> None:
        """Start kube-proxy, which needs the Node object to exist."""
        own = self._directory / "kubernetes" / "pki"
        client = self._plane.authority.issue("proxy", name="system:kube-proxy", directory=own)
        self._kubeconfig("proxy", client)
        text = kube_proxy.configuration(
            kubeconfig=ETC / "proxy.kubeconfig", node=self.names.node, pods=self.plan.pods
        )
        changed = self._write("kubernetes/proxy.yaml", text)
        command = kube_proxy.command(self._binaries.path("kube-proxy"), config=ETC / "proxy.yaml")
        self._start(place, "kube-proxy", command, changed=changed)

    def write_daemon_settings(self) -> None:
        """What k40s's daemons on this node have to be told, as all nodes share one machine."""
        lines = {
            "K40S_CPUS": format_cpus(self._resources.cpus),
            "K40S_CGROUP_ROOT": f"/{self.names.cgroup}",
            "K40S_RT_CAPACITY": str(float(self._resources.rt_capacity)),
            "K40S_GROUP_PREFIX": self.names.budget_groups,
        }
        text = "".join(f"{key}={value}\n" for key, value in lines.items())
        self._write(f"k40s/node/{self.names.node}.env", text)

    @property
    def _socket(self) -> Path:
        return self._directory / "containerd-run" / containerd.SOCKET.name

    def _labels(self) -> dict[str, str]:
        labels = {PLATFORM_LABEL: self.settings.platform}
        if self.settings.real_time:
            labels[REAL_TIME_NODE_LABEL] = "true"
        return labels

    def _pod_network(self) -> str:
        return cni.configuration(network=self.names.cgroup, pods=self.plan.node_pods(self.number))

    def _kubeconfig(self, file: str, identity: KeyPair) -> Path:
        authority = self._plane.authority.pair.certificate
        self._write("kubernetes/pki/ca.crt", authority.read_text(encoding="ascii"))
        write_kubeconfig(
            self._directory / "kubernetes" / f"{file}.kubeconfig",
            server=self._plane.endpoint.server,
            authority=authority,
            identity=identity,
        )
        return self._directory / "kubernetes/pki/ca.crt"

    def _start(self, place: Place, component: str, argv: Sequence[str], *, changed: bool) -> None:
        name = self.names.component(component)
        if changed:
            self._supervisor.stop(name)
        self._supervisor.start(name, place.inside(argv), adopt=place.adopt)

    def _write(self, name: str, text: str) -> bool:
        return write_changed(self._directory / name, text)


def _seen(path: Path, directory: Path) -> Path:
    """Where the node sees a file of its ``kubernetes`` directory."""
    return ETC / path.relative_to(directory / "kubernetes")


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
