"""However a cluster ends, nothing of it stays on the machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from localcluster.cluster import Cluster
from localcluster.errors import ComponentFailedError
from localcluster.host.cgroups import read_hierarchies
from localcluster.host.commands import run
from localcluster.host.machine import SYSCTLS
from localcluster.host.paths import RUN_ROOT, STATE_ROOT
from localcluster.images.binaries import PROGRAMS, Binaries
from localcluster.images.cluster_images import PAUSE_IMAGE
from localcluster.nodes.layout import MOUNTS
from localcluster.progress import Progress
from localcluster.registry import Registry
from localcluster.settings import ClusterSettings

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

NAME = "passing"
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {node}}}
spec:
  nodeName: {node}
  containers: [{{name: main, image: {image}, imagePullPolicy: Never}}]
"""


def _machine() -> dict[str, object]:
    """What a cluster could leave on the machine, but for its processes."""
    groups = {
        path.name for top in read_hierarchies().paths for path in top.iterdir() if NAME in path.name
    }
    return {
        "links": run(["ip", "-brief", "link"]),
        "routes": run(["ip", "route"]),
        "rules": run(["nft", "list", "tables"]),
        "mounts": sorted(Path("/proc/self/mountinfo").read_text().splitlines()),
        "cgroups": groups,
        "sysctls": {key: run(["sysctl", "-n", key]) for key in (*SYSCTLS, "net.ipv4.ip_forward")},
        "directories": {path for path in MOUNTS if path.exists()},
        "state": {root for root in (STATE_ROOT / NAME, RUN_ROOT / NAME) if root.exists()},
        "claims": [claim for claim in Registry().claims() if claim.cluster == NAME],
    }


def _processes_in(namespaces: set[Path]) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "ns/net").readlink() in namespaces:
                found.append((entry / "cmdline").read_text())
        except OSError:
            continue
    return found


@pytest.fixture
def passing(machine: None) -> Iterator[Cluster]:
    del machine
    cluster = Cluster(ClusterSettings(name=NAME))
    cluster.down()
    yield cluster
    cluster.down()


def _with_broken(directory: Path, binaries: Binaries, program: str) -> Path:
    """A directory of programs of which one does nothing but complain."""
    for name in (*PROGRAMS, "etcd"):
        (directory / name).symlink_to(binaries.path(name))
    bad = directory / program
    bad.unlink()
    bad.write_text("#!/bin/sh\necho it hurts here\nexit 3\n")
    bad.chmod(0o755)
    return directory


def test_down_leaves_nothing(passing: Cluster, progress: Progress) -> None:
    before = _machine()
    passing.up(progress)
    for node in ("edge-1", "edge-2"):
        pod = POD.format(node=node, image=PAUSE_IMAGE)
        passing.kubectl("apply", "-f", "-", stdin=pod)
    passing.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=300s", timeout=330)
    pids = [state.pid for state in passing.supervisor.states()]
    namespaces = {Path(f"/proc/{pid}/ns/net").readlink() for pid in pids}

    passing.down(progress)

    assert len(namespaces) == 3  # the control plane's, and one for each node
    assert _processes_in(namespaces) == []
    assert _machine() == before


@pytest.mark.parametrize("program", ["etcd", "kube-scheduler", "kubelet"])
def test_a_failed_start_names_the_component_and_shows_the_end_of_its_log(
    program: str, passing: Cluster, binaries: Binaries, tmp_path: Path
) -> None:
    before = _machine()
    broken = _with_broken(tmp_path, binaries, program)
    cluster = Cluster(ClusterSettings(name=NAME, binaries=broken))

    with pytest.raises(ComponentFailedError, match="it hurts here") as failure:
        cluster.up()

    assert failure.value.component in {program, f"edge-1.{program}", f"edge-2.{program}"}
    passing.down()
    assert _machine() == before
