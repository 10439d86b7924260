"""k40s is taken off a cluster as the documentation says, and nothing of it stays in the kernel."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.demo import stage_of
from demo.pods import OVERRUN, Manifest, deployment_of, real_time_pod
from demo.stage import Stage
from localcluster.cluster import Cluster
from localcluster.deploy import deploy
from localcluster.images.cluster_images import PROJECT
from localcluster.progress import Progress
from localcluster.settings import ClusterSettings
from tests.e2e.patience import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1500)]

TASKS = [{"name": "ctl", "wcet": {"edge": "5ms"}, "period": "100ms"}]
TENANT = {
    "apiVersion": "k40s.io/v1alpha1",
    "kind": "Tenant",
    "metadata": {"name": "default"},
    "spec": {"bandwidth": "1"},
}
OURS_FOR_THE_CLUSTER = (
    "validatingwebhookconfigurations,mutatingwebhookconfigurations,validatingadmissionpolicies,"
    "validatingadmissionpolicybindings,customresourcedefinitions,priorityclasses,clusterroles,"
    "clusterrolebindings,namespaces"
)


@pytest.fixture
def leaving(machine: None, progress: Progress) -> Iterator[Cluster]:
    del machine
    cluster = Cluster(ClusterSettings(name="leaving"))
    cluster.down(progress)
    try:
        cluster.up(progress)
        deploy(cluster, progress=progress)
        yield cluster
    finally:
        cluster.down(progress)


def test_the_documented_steps_leave_nothing_though_a_deployment_makes_its_pods_anew(
    leaving: Cluster, tmp_path: Path
) -> None:
    stage = stage_of(leaving)
    stage.observer.kubectl("apply", "-f", "-", stdin=json.dumps(TENANT))
    stage.observer.kubectl("apply", "-f", "-", stdin=json.dumps(_deployment()))
    first = _enforced(stage, not_=0)
    stage.observer.kubectl("delete", "pods", "--all", "--wait=false")
    thread = _enforced(stage, not_=first)  # made anew and placed again, while the scheduler runs

    _run(_documented_steps("## Uninstall"), leaving, tmp_path)

    assert stage.observer.groups() == ()
    assert stage.policy(thread) == "SCHED_OTHER"
    assert os.sched_getaffinity(thread) >= {leaving_cpu(leaving)}
    home = Path(f"/proc/{thread}/cgroup").read_text()
    assert all("/kubepods" in line for line in home.splitlines() if ":cpu:" in line)
    found = json.loads(stage.observer.kubectl("get", "nodes", "-o", "json"))
    for node in found["items"]:
        keys = {*node["metadata"]["labels"], *node["metadata"].get("annotations", {})}
        types = {condition["type"] for condition in node["status"]["conditions"]}
        assert [key for key in keys | types if "k40s" in key] == []
    assert stage.observer.kubectl("get", "leases", "-A", "-o", "name").count("rubicante") == 0
    kept = stage.observer.kubectl("get", OURS_FOR_THE_CLUSTER, "-o", "name").split()
    assert [name for name in kept if "k40s" in name] == []
    _nobody_objects_to_a_pod_with_our_keys(stage)
    pods = json.loads(stage.observer.kubectl("get", "pods", "-o", "json"))["items"]
    assert [pod["status"]["phase"] for pod in pods] == ["Running"]  # it was not ended by that


def _nobody_objects_to_a_pod_with_our_keys(stage: Stage) -> None:
    pod = real_time_pod("after", criticality="LOW", script=OVERRUN, tasks=list(TASKS))
    words = ("apply", "--dry-run=server", "-f", "-")
    stage.observer.kubectl(*words, stdin=json.dumps(pod).replace("k40s.io/crit", "k40s.io/crot"))


def leaving_cpu(cluster: Cluster) -> int:
    claim = cluster.claim()
    assert claim is not None
    return min(claim.real_time_cpus)


def _deployment() -> Manifest:
    script = OVERRUN.format(task="ctl")
    return deployment_of(
        real_time_pod("worker", criticality="LOW", script=script, tasks=list(TASKS))
    )


def _enforced(stage: Stage, *, not_: int) -> int:
    """The one real-time thread, which is another than that."""

    def found() -> list[int]:
        return [tid for group in stage.observer.groups() for tid in group.threads if tid != not_]

    wait_until("the task's thread is in its budget group", found, seconds=300)
    wait_until(
        "it is real-time",
        lambda: len(found()) == 1 and stage.policy(found()[0]).startswith("SCHED_FIFO "),
        seconds=60,
    )
    return found()[0]


def _documented_steps(heading: str) -> str:
    page = (PROJECT / "docs/operations.md").read_text(encoding="utf-8")
    section = page.partition(heading + "\n")[2].partition("\n## ")[0]
    block = re.search(r"```\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return block[1]


def _run(steps: str, cluster: Cluster, directory: Path) -> None:
    """As an administrator would, with kubectl set to the cluster and the overlay at its place."""
    plane = cluster.plane()
    (directory / "my-cluster").symlink_to(PROJECT / "manifests/overlays/local")
    kubectl = directory / "kubectl"
    kubectl.write_text(
        f'#!/bin/sh\nexec {plane.binaries.path("kubectl")} --kubeconfig={plane.kubeconfig} "$@"\n'
    )
    kubectl.chmod(0o755)
    subprocess.run(
        ["bash", "-euxc", steps],
        cwd=directory,
        env={**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"},
        check=True,
        timeout=600,
    )
