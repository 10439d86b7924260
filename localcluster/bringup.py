"""The steps that bring a cluster up, each idempotent."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from k40s.annotations import HARDWARE_ASSURANCE_KEY
from localcluster.addresses import AddressPlan
from localcluster.claims import Claim
from localcluster.components import kube_proxy
from localcluster.errors import CommandError, LocalClusterError
from localcluster.guest.node import GuestNode
from localcluster.host.cgroups import read_hierarchies
from localcluster.host.files import write_changed
from localcluster.host.machine import memory_bytes, online_cpus
from localcluster.host.network import connect_control_plane, connect_node
from localcluster.host.packages import find_cni_plugins
from localcluster.host.paths import ClusterPaths
from localcluster.host.processes import Supervisor
from localcluster.host.sandbox import Sandbox, anchor_name, open_sandbox
from localcluster.host.unified import tree_of
from localcluster.nodes.files import NodeFiles
from localcluster.nodes.layout import NodeNames, NodeResources
from localcluster.nodes.node import Node
from localcluster.plane.control_plane import ControlPlane
from localcluster.settings import ClusterSettings

_CONTROL = "control"
_CONTROL_PROXY = "control.kube-proxy"
_READY_TIMEOUT = 300
_GUEST_TIMEOUT = 900
_MIB = 1 << 20


def open_control(
    settings: ClusterSettings, plan: AddressPlan, *, supervisor: Supervisor
) -> Sandbox:
    """Make the control plane's namespaces, the bridge and the link to the machine."""
    cgroup = tree_of(f"k40s-{settings.name}-{_CONTROL}", read_hierarchies())
    if supervisor.pid(anchor_name(_CONTROL)) is None:
        cgroup.remove()  # processes of an earlier sandbox are in namespaces that nobody can enter
    sandbox = open_sandbox(
        _CONTROL, supervisor=supervisor, cgroup=cgroup, cpus=_join(online_cpus()), mounts={}
    )
    connect_control_plane(sandbox, plan, nodes=len(settings.nodes))
    return sandbox


def make_nodes(
    settings: ClusterSettings, claim: Claim, *, paths: ClusterPaths, plane: ControlPlane
) -> list[Node]:
    """The nodes that are no guests, each with its share of the machine; none is started yet."""
    hierarchies = read_hierarchies()
    nodes = []
    own = [pair for pair in enumerate(settings.nodes, start=1) if not pair[1].guest]
    for number, node in own:
        names = NodeNames(cluster=settings.name, node=node.name)
        cpus = claim.real_time_cpus if node.real_time else claim.general_cpus
        resources = NodeResources(
            cpus=cpus,
            reserved=reserved(memory=memory_bytes(), nodes=len(own)),
            rt_capacity=claim.rt_capacity,
        )
        nodes.append(
            Node(
                NodeFiles(
                    names=names,
                    settings=node,
                    number=number,
                    directory=paths.node(node.name),
                    plan=AddressPlan(index=claim.index),
                    plane=plane,
                ),
                cgroup=tree_of(names.cgroup, hierarchies),
                resources=resources,
            )
        )
    return nodes


def start_nodes(
    nodes: Sequence[Node],
    control: Sandbox,
    *,
    plane: ControlPlane,
    pause: tuple[str, Path],
    guests: Sequence[GuestNode] = (),
) -> list[str]:
    """Start every node and wait until all are Ready; ``pause`` is that image's name and archive.

    ``guests`` have been started already: they take longest, and are only waited for. Returns what
    real-time nodes lack on this machine.
    """
    plugins = find_cni_plugins()
    if plugins is None:
        raise LocalClusterError("the CNI plugins are missing")
    image, archive = pause
    total = len(nodes) + len(guests)

    # A node that takes CPUs from all others does so before these are told which they have.
    for node in sorted(nodes, key=lambda one: not one.settings.real_time):
        node.open()

    def start(node: Node) -> Sandbox:
        sandbox = node.open()
        connect_node(control, sandbox, node.plan, number=node.number, nodes=total)
        node.write_daemon_settings()
        node.start_containerd(sandbox, pause_image=image, cni_plugins=plugins)
        node.load_image(sandbox, archive)
        node.start_kubelet(sandbox)
        return sandbox

    with ThreadPoolExecutor(max_workers=len(nodes)) as pool:
        sandboxes = list(pool.map(start, nodes))
    for node, sandbox in zip(nodes, sandboxes, strict=True):
        _wait(plane, node, what="registered")
        node.start_proxy(sandbox)
        _annotate(plane, node)
    _start_control_proxy(nodes[-1], control, plane)
    for node in nodes:
        _wait(plane, node, what="Ready")
    for guest in guests:
        _wait(plane, guest, what="registered", timeout=_GUEST_TIMEOUT)
        _annotate(plane, guest)
        _wait(plane, guest, what="Ready", timeout=_GUEST_TIMEOUT)
    plane.supervisor.wait_ready(
        "kube-controller-manager", lambda: _has_account(plane), timeout=_READY_TIMEOUT
    )
    return [f"{one.name} shares its CPUs: {one.shared}" for one in sandboxes if one.shared]


def load_images(nodes: Sequence[Node], archives: Sequence[Path]) -> None:
    """Import docker archives on all nodes in parallel."""

    def load(node: Node) -> None:
        sandbox = node.open()
        for archive in archives:
            node.load_image(sandbox, archive)

    with ThreadPoolExecutor(max_workers=len(nodes)) as pool:
        list(pool.map(load, nodes))


def ready_nodes(plane: ControlPlane) -> dict[str, bool]:
    """Every registered node, and whether it is Ready."""
    return {
        item["metadata"]["name"]: any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in item["status"].get("conditions", [])
        )
        for item in plane.get("nodes")["items"]
    }


def boot_ids(plane: ControlPlane) -> dict[str, str]:
    """Every registered node, and the boot id that its kubelet reports."""
    return {
        item["metadata"]["name"]: item["status"].get("nodeInfo", {}).get("bootID", "")
        for item in plane.get("nodes")["items"]
    }


def wait_again(plane: ControlPlane, guests: Sequence[GuestNode], former: Mapping[str, str]) -> None:
    """Wait until restarted guests are Ready; ``former`` are their earlier boot ids."""
    for guest in guests:
        name = guest.names.node

        def is_back(name: str = name) -> bool:
            with suppress(CommandError):
                booted = boot_ids(plane).get(name) != former.get(name)
                return booted and ready_nodes(plane).get(name, False)
            return False

        plane.supervisor.wait_ready(
            guest.components[0], is_back, timeout=_GUEST_TIMEOUT, what="Ready again"
        )


def reserved(*, memory: int, nodes: int) -> dict[str, str]:
    """The machine's memory (bytes) that a node reserves for the others."""
    return {"memory": f"{memory * nodes // (nodes + 1) // _MIB}Mi"}


def _start_control_proxy(node: Node, control: Sandbox, plane: ControlPlane) -> None:
    """Start kube-proxy for the control plane, which reaches webhooks and the extender."""
    config = plane.directory / "config" / "kube-proxy.yaml"
    kubeconfig = plane.identity("kube-proxy", name="system:kube-proxy")
    text = kube_proxy.configuration(
        kubeconfig=kubeconfig, node=node.names.node, pods=node.plan.pods
    )
    if write_changed(config, text):
        plane.supervisor.stop(_CONTROL_PROXY)
    command = kube_proxy.command(plane.binaries.path("kube-proxy"), config=config)
    plane.supervisor.start(_CONTROL_PROXY, control.inside(command), adopt=control.adopt)


def _annotate(plane: ControlPlane, node: Node | GuestNode) -> None:
    level = f"{HARDWARE_ASSURANCE_KEY}={node.settings.hardware_assurance}"
    plane.kubectl("annotate", "--overwrite", "node", node.names.node, level)


def _wait(
    plane: ControlPlane, node: Node | GuestNode, *, what: str, timeout: float = _READY_TIMEOUT
) -> None:
    def holds() -> bool:
        with suppress(CommandError):
            found = ready_nodes(plane)
            return found.get(node.names.node, False) or (
                what == "registered" and node.names.node in found
            )
        return False

    kubelet, *needs = node.components
    plane.supervisor.wait_ready(
        kubelet, holds, timeout=timeout, what=what, needs=(*needs, "kube-apiserver")
    )


def _has_account(plane: ControlPlane) -> bool:
    """Whether the default service account exists, without which no pod can be created."""
    found = plane.kubectl("get", "serviceaccount", "default", "--ignore-not-found", "-o", "name")
    return bool(found.strip())


def _join(cpus: Sequence[int]) -> str:
    return ",".join(map(str, cpus))
