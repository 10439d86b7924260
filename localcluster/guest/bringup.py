"""The steps that bring a cluster's guests up."""

from collections.abc import Sequence
from pathlib import Path

from localcluster.addresses import AddressPlan
from localcluster.claims import Claim
from localcluster.guest.disks import DiskStore
from localcluster.guest.kernels import REAL_TIME, ensure_kernel
from localcluster.guest.node import GuestNode, GuestParts
from localcluster.host.cgroups import read_hierarchies
from localcluster.host.machine import online_cpus
from localcluster.host.packages import require_guest_machine
from localcluster.host.paths import ClusterPaths
from localcluster.host.sandbox import Sandbox
from localcluster.host.unified import tree_of
from localcluster.images.cluster_images import PAUSE_IMAGE, ImageStore
from localcluster.nodes.files import NodeFiles
from localcluster.nodes.layout import NodeNames, format_cpus
from localcluster.plane.control_plane import ControlPlane
from localcluster.progress import Progress
from localcluster.settings import ClusterSettings


def make_guests(
    settings: ClusterSettings,
    claim: Claim,
    *,
    paths: ClusterPaths,
    plane: ControlPlane,
    cache: Path,
    progress: Progress,
) -> list[GuestNode]:
    """The cluster's guests, none of them started. Only a cluster with guests requires QEMU."""
    numbered = [pair for pair in enumerate(settings.nodes, start=1) if pair[1].guest]
    if not numbered:
        return []
    require_guest_machine()
    parts = GuestParts(
        kernel=ensure_kernel(REAL_TIME, cache=cache, progress=progress),
        disks=DiskStore(cache, progress=progress),
    )
    hierarchies = read_hierarchies()
    guests = []
    for number, node in numbered:
        names = NodeNames(cluster=settings.name, node=node.name)
        directory = paths.node(node.name)
        directory.mkdir(parents=True, exist_ok=True)
        guests.append(
            GuestNode(
                NodeFiles(
                    names=names,
                    settings=node,
                    number=number,
                    directory=directory,
                    plan=AddressPlan(index=claim.index),
                    plane=plane,
                ),
                cgroup=tree_of(names.cgroup, hierarchies),
                parts=parts,
            )
        )
    return guests


def first_images(store: ImageStore) -> list[Path]:
    """The images that a guest has from its start; a new image would mean a restart."""
    return [store.pause(), store.k40s(), store.workload()]


def start_guests(
    guests: Sequence[GuestNode], control: Sandbox, *, nodes: int, archives: Sequence[Path]
) -> None:
    """Start them with these images where they do not run; ``nodes`` is how many the cluster has."""
    for guest in guests:
        guest.start(
            control,
            nodes=nodes,
            # Real-time threads of the other nodes take precedence over it where they meet.
            cpus=format_cpus(online_cpus()),
            pause_image=PAUSE_IMAGE,
            archives=archives,
        )
