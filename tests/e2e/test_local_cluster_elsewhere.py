"""K40s in another namespace under other names: it places, enforces and guards as at home."""

import json
import os
from collections.abc import Iterator

import pytest
import yaml

from demo.pods import sleeping_pod
from k40s.annotations import CRITICALITY_KEY
from localcluster.cluster import Cluster
from localcluster.deploy import deploy
from localcluster.errors import CommandError, LocalClusterError
from localcluster.images.cluster_images import PROJECT
from localcluster.progress import Progress
from localcluster.settings import ClusterSettings
from tests.e2e.examples import PODS, apply_examples, condition_of, wait_for
from tests.e2e.patience import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

NAMESPACE = "plant-a"
NAMES = {"namespace": NAMESPACE, "namePrefix": "line1-", "nameSuffix": "-eu"}


@pytest.fixture(scope="module")
def elsewhere(
    machine: None, progress: Progress, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    del machine
    overlay = tmp_path_factory.mktemp("overlay")
    shipped = os.path.relpath(PROJECT / "manifests" / "overlays" / "local", overlay.resolve())
    text = yaml.safe_dump({"resources": [shipped], **NAMES})
    (overlay / "kustomization.yaml").write_text(text)
    cluster = Cluster(ClusterSettings(name="elsewhere"))
    cluster.down(progress)
    try:
        cluster.up(progress)
        deploy(cluster, progress=progress, overlay=overlay, namespace=NAMESPACE)
        yield cluster
    except LocalClusterError as error:
        pytest.fail(str(error), pytrace=False)
    finally:
        cluster.down(progress)


def attempt(cluster: Cluster, *words: str, stdin: str = "") -> str:
    try:
        cluster.kubectl(*words, "--dry-run=server", stdin=stdin)
    except CommandError as error:
        return str(error)
    return ""


def test_nothing_is_in_the_namespace_of_the_shipped_manifests(elsewhere: Cluster) -> None:
    expected = {"k40s-scheduler", "k40s-controller", "rubicante-edge-1", "malacoda-edge-2"}

    def leases() -> set[str]:
        words = ("get", "leases", f"--namespace={NAMESPACE}", "--output=name")
        return {lease.split("/")[1] for lease in elsewhere.kubectl(*words).split()}

    wait_until("each has its Lease", lambda: expected <= leases(), seconds=120)
    namespaces = elsewhere.kubectl("get", "namespaces", "--output=name").split()

    assert "namespace/k40s-system" not in namespaces


def test_pods_are_placed_and_enforced_and_say_so(elsewhere: Cluster) -> None:
    apply_examples(elsewhere)

    wait_for(elsewhere, "k40s.io/enforced", *PODS)
    wait_for(elsewhere, "Ready", *PODS)

    assert {condition_of(elsewhere, pod, "reason") for pod in PODS} == {"Enforced"}


def test_the_webhook_refuses_mistakes_and_fills_in_the_renamed_priority_class(
    elsewhere: Cluster,
) -> None:
    pod = sleeping_pod("unlucky", criticality="LOW")
    wrong = json.dumps(pod).replace(CRITICALITY_KEY, "k40s.io/critcality")
    words = ("apply", "--filename=-", "--output=jsonpath={.spec.priorityClassName}")

    said = attempt(elsewhere, *words, stdin=wrong)
    filled_in = elsewhere.kubectl(*words, "--dry-run=server", stdin=json.dumps(pod))

    assert f"found the annotation k40s.io/critcality, expected {CRITICALITY_KEY}" in said
    assert filled_in == "line1-k40s-low-eu"


def test_what_was_granted_and_what_was_measured_cannot_be_forged(elsewhere: Cluster) -> None:
    for target, key, complaint in (
        ("pod/video", "status.k40s.io/cpu", "only the k40s extender writes them"),
        ("pod/video", "status.k40s.io/migration", "only the k40s controller writes it"),
        ("node/edge-1", "node.k40s.io/assurance", "only malacoda"),
        ("node/edge-1", "node.k40s.io/cpu-state", "only rubicante"),
    ):
        said = attempt(elsewhere, "annotate", target, "--overwrite", f"{key}=x")
        assert complaint in said

    forged = {"status": {"conditions": [{"type": "k40s.io/enforced", "status": "False"}]}}
    words = ("patch", "pod", "video", "--subresource=status", "--type=strategic")
    said = attempt(elsewhere, *words, f"--patch={json.dumps(forged)}")
    assert "set by rubicante on the pod's node" in said
