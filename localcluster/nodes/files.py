"""Configuration files of a node's components, rendered into its directory on the machine."""

from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path

from k40s.annotations import PLATFORM_LABEL, RUNTIME_LABEL_PREFIX, TDMA_LABEL
from localcluster.addresses import AddressPlan
from localcluster.components import cni, containerd, kube_proxy, kubelet
from localcluster.credentials.certificates import KeyPair
from localcluster.credentials.kubeconfig import write_kubeconfig
from localcluster.host.files import write_changed
from localcluster.nodes.layout import ETC, REAL_TIME_NODE_LABEL, NodeNames
from localcluster.plane.control_plane import ControlPlane
from localcluster.settings import NodeSettings


class NodeFiles:
    """Writes below ``directory``; every method returns whether it changed what was there.

    ``kubernetes`` in it is what the node sees as ``/etc/kubernetes``, and ``cni`` and ``k40s`` are
    its ``/etc/cni`` and ``/etc/k40s``.
    """

    def __init__(
        self,
        *,
        names: NodeNames,
        settings: NodeSettings,
        number: int,
        directory: Path,
        plan: AddressPlan,
        plane: ControlPlane,
    ) -> None:
        self.names = names
        self.settings = settings
        self.directory = directory
        self.number = number
        self.plan = plan
        self.plane = plane

    @property
    def address(self) -> IPv4Address:
        """The node's."""
        return self.plan.node(self.number)

    def write_containerd(self, *, pause_image: str, cni_plugins: Path) -> bool:
        """Containerd's configuration, and the pod network's."""
        pods = cni.configuration(network=self.names.cgroup, pods=self.plan.node_pods(self.number))
        self._write("cni/net.d/10-local.conflist", pods)
        text = containerd.configuration(
            pause_image=pause_image, cni_plugins=cni_plugins, isolated=self.settings.real_time
        )
        return self._write("kubernetes/containerd.toml", text)

    def write_kubelet(self, *, cgroup: str, reserved: Mapping[str, str]) -> bool:
        """Kubelet's configuration and identity; ``cgroup`` is its root, "" for the hierarchy's."""
        own = self.directory / "kubernetes" / "pki"
        node = self.names.node
        server = self.plane.authority.issue(
            "kubelet-server", name=node, hosts=[node, self.address], directory=own
        )
        client = self.plane.authority.issue(
            "kubelet", name=f"system:node:{node}", organizations=["system:nodes"], directory=own
        )
        authority = self._kubeconfig("kubelet", client)
        self._write("kubernetes/resolv.conf", "")
        config = kubelet.configuration(
            cgroup=cgroup,
            address=self.address,
            authority=self._seen(authority),
            server=KeyPair(certificate=self._seen(server.certificate), key=self._seen(server.key)),
            reserved=reserved,
            resolv_conf=ETC / "resolv.conf",
        )
        return self._write("kubernetes/kubelet.yaml", config)

    def write_proxy(self) -> bool:
        """kube-proxy's configuration and identity."""
        own = self.directory / "kubernetes" / "pki"
        client = self.plane.authority.issue("proxy", name="system:kube-proxy", directory=own)
        self._kubeconfig("proxy", client)
        text = kube_proxy.configuration(
            kubeconfig=ETC / "proxy.kubeconfig", node=self.names.node, pods=self.plan.pods
        )
        return self._write("kubernetes/proxy.yaml", text)

    def write_daemon_settings(self, settings: Mapping[str, str]) -> bool:
        """The settings of k40s's daemons on this node."""
        text = "".join(f"{key}={value}\n" for key, value in settings.items())
        return self._write(f"k40s/node/{self.names.node}.env", text)

    def kubelet_command(self, binary: Path) -> list[str]:
        """Kubelet's command line as the node sees its files; it registers the node's labels."""
        labels = {PLATFORM_LABEL: self.settings.platform, TDMA_LABEL: "true"}
        if self.settings.real_time:
            labels[REAL_TIME_NODE_LABEL] = "true"
            labels[f"{RUNTIME_LABEL_PREFIX}{containerd.ISOLATED}"] = "true"
        return kubelet.command(
            binary,
            config=ETC / "kubelet.yaml",
            kubeconfig=ETC / "kubelet.kubeconfig",
            node=self.names.node,
            address=self.address,
            labels=labels,
        )

    def proxy_command(self, binary: Path) -> list[str]:
        """kube-proxy's command line as the node sees its files."""
        return kube_proxy.command(binary, config=ETC / "proxy.yaml")

    def containerd_command(self, binary: str = "containerd") -> list[str]:
        """Containerd's command line as the node sees its files."""
        return containerd.command(binary, config=ETC / "containerd.toml")

    def _kubeconfig(self, file: str, identity: KeyPair) -> Path:
        authority = self.plane.authority.pair.certificate
        self._write("kubernetes/pki/ca.crt", authority.read_text(encoding="ascii"))
        write_kubeconfig(
            self.directory / "kubernetes" / f"{file}.kubeconfig",
            server=self.plane.endpoint.server,
            authority=authority,
            identity=identity,
        )
        return self.directory / "kubernetes/pki/ca.crt"

    def _seen(self, path: Path) -> Path:
        """The path inside the node of a file of its ``kubernetes`` directory."""
        return ETC / path.relative_to(self.directory / "kubernetes")

    def _write(self, name: str, text: str) -> bool:
        return write_changed(self.directory / name, text)
