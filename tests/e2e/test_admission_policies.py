"""What RBAC cannot say, the shipped policies do: asked of the real API server, without a change."""

import json

import pytest

from localcluster.cluster import Cluster
from localcluster.errors import CommandError

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

ACCOUNT = "system:serviceaccount:k40s-system:"
STATUS = {"status.k40s.io/cpu": "[]"}
HI = {"k40s.io/criticality": "HI"}


def identity(account: str, node: str) -> list[str]:
    if not account:
        return []
    groups = ("system:serviceaccounts", ACCOUNT.replace("account", "accounts", 1).rstrip(":"))
    words = [f"--as={ACCOUNT}{account}", *(f"--as-group={group}" for group in groups)]
    if node:
        words.append(f"--as-user-extra=authentication.kubernetes.io/node-name={node}")
    return words


def attempt(cluster: Cluster, *words: str, stdin: str = "") -> str:
    """Return "" when the API server would do it, else what it says."""
    try:
        cluster.kubectl(*words, "--dry-run=server", stdin=stdin)
    except CommandError as error:
        return str(error)
    return ""


def patch_node(cluster: Cluster, account: str, node: str, patch: dict[str, object]) -> str:
    """Patch edge-1 as ``account`` (administrator if empty) of a pod on ``node``."""
    return attempt(
        cluster,
        *("patch", "node", "edge-1", "--type=merge", f"--patch={json.dumps(patch)}"),
        *identity(account, node),
    )


def annotation(key: str, value: str | None = "tampered") -> dict[str, object]:
    return {"metadata": {"annotations": {key: value}}}


FINALIZER: dict[str, object] = {"metadata": {"finalizers": ["example.org/never"]}}
ORPHAN: dict[str, object] = {
    "metadata": {
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "Node", "name": "none", "uid": "there-is-no-such"}
        ]
    }
}
"""The garbage collector deletes what is owned by nothing that exists."""


def label(key: str, value: str | None = "tampered") -> dict[str, object]:
    return {"metadata": {"labels": {key: value}}}


@pytest.mark.parametrize(
    ("account", "node", "patch"),
    [
        ("malacoda", "edge-1", annotation("node.k40s.io/assurance")),
        ("malacoda", "edge-1", label("node.k40s.io/assurance-class")),
        ("rubicante", "edge-1", annotation("node.k40s.io/cpu-state")),
        ("rubicante", "edge-1", label("node.k40s.io/real-time")),
        ("scarmiglione", "edge-1", annotation("node.k40s.io/network-state")),
        ("scarmiglione", "edge-1", label("node.k40s.io/xenomai", "true")),
        ("k40s-give-back", "edge-1", annotation("node.k40s.io/cpu-state", None)),
        ("", "", annotation("k40s.io/hardware-assurance", "3")),
        ("", "", annotation("node.k40s.io/assurance", None)),
        ("", "", {"spec": {"unschedulable": True}}),
        ("k40s-extender", "", label("node.k40s.io/assurance-class", None)),
        ("k40s-extender", "edge-2", label("node.k40s.io/real-time", None)),
    ],
)
def test_whoever_measures_it_writes_it(
    cluster: Cluster, account: str, node: str, patch: dict[str, object]
) -> None:
    assert patch_node(cluster, account, node, patch) == ""


@pytest.mark.parametrize(
    ("account", "node", "patch", "complaint"),
    [
        ("malacoda", "edge-2", annotation("node.k40s.io/assurance"), "the Node that it runs on"),
        ("malacoda", "", annotation("node.k40s.io/assurance"), "the Node that it runs on"),
        ("malacoda", "edge-1", annotation("node.k40s.io/cpu-state"), "only rubicante"),
        ("rubicante", "edge-1", annotation("node.k40s.io/assurance"), "only malacoda"),
        ("scarmiglione", "edge-2", label("node.k40s.io/xenomai"), "the Node that it runs on"),
        ("scarmiglione", "edge-1", annotation("node.k40s.io/cpu-state"), "only rubicante"),
        ("rubicante", "edge-1", annotation("node.k40s.io/network-state"), "only scarmiglione"),
        ("rubicante", "edge-1", label("k40s.io/platform"), "only keys below node.k40s.io/"),
        ("rubicante", "edge-1", label("k40s.io/platform", None), "only keys below node.k40s.io/"),
        ("malacoda", "edge-1", {"spec": {"unschedulable": True}}, "only keys below node.k40s.io/"),
        ("malacoda", "edge-1", annotation("node.k40s.io/other"), "unknown key"),
        ("k40s-give-back", "edge-1", label("node.k40s.io/real-time"), "only rubicante"),
        ("k40s-give-back", "edge-1", label("k40s.io/platform", None), "only keys below node"),
        ("k40s-give-back", "edge-2", label("node.k40s.io/real-time", None), "that it runs on"),
        ("", "", annotation("node.k40s.io/assurance"), "only malacoda"),
        ("", "", label("node.k40s.io/real-time", "no"), "only rubicante"),
        ("k40s-extender", "", label("node.k40s.io/real-time", "no"), "only rubicante"),
        ("k40s-extender", "", label("k40s.io/platform", None), "may only remove"),
        ("k40s-extender", "", label("any", "thing"), "may only remove"),
        ("k40s-extender", "", annotation("node.k40s.io/assurance", None), "may only remove"),
        ("k40s-extender", "", {"spec": {"unschedulable": True}}, "may only remove"),
        ("k40s-extender", "", ORPHAN, "may only remove"),
        ("k40s-extender", "", FINALIZER, "may only remove"),
        ("malacoda", "edge-1", ORPHAN, "only keys below node.k40s.io/"),
        ("rubicante", "edge-1", FINALIZER, "only keys below node.k40s.io/"),
        ("k40s-give-back", "edge-1", ORPHAN, "only keys below node.k40s.io/"),
    ],
)
def test_nobody_else_writes_it(
    cluster: Cluster, account: str, node: str, patch: dict[str, object], complaint: str
) -> None:
    assert complaint in patch_node(cluster, account, node, patch)


def create_pod(
    cluster: Cluster,
    *,
    annotations: dict[str, str],
    labels: dict[str, str] | None = None,
    **spec: str,
) -> str:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "policy",
            "namespace": "default",
            "annotations": annotations,
            "labels": labels or {},
        },
        "spec": {"containers": [{"name": "c", "image": "x"}], **spec},
    }
    return attempt(cluster, "create", "--filename=-", stdin=json.dumps(pod))


def test_a_pod_without_demands_goes_to_any_scheduler(cluster: Cluster) -> None:
    assert create_pod(cluster, annotations={}) == ""
    assert create_pod(cluster, annotations={"k40s.io/criticality": "NO"}) == ""


def test_a_demanding_pod_goes_to_our_scheduler(cluster: Cluster) -> None:
    assert create_pod(cluster, annotations=HI, schedulerName="k40s-scheduler") == ""
    assert create_pod(cluster, annotations=HI) == ""  # the webhook fills it in


@pytest.mark.parametrize(
    ("annotations", "labels"),
    [
        (HI, {}),
        ({"k40s.io/criticality": "hi"}, {}),
        ({"k40s.io/tasks": "[]"}, {}),
        ({"k40s.io/enforcement": "deadline"}, {}),
        ({}, {"k40s.io/criticality": "LOW"}),
    ],
)
def test_a_demanding_pod_goes_to_no_other_scheduler(
    cluster: Cluster, annotations: dict[str, str], labels: dict[str, str]
) -> None:
    said = create_pod(
        cluster, annotations=annotations, labels=labels, schedulerName="another-scheduler"
    )

    assert "needs schedulerName: k40s-scheduler" in said


def test_a_demanding_pod_does_not_choose_its_node(cluster: Cluster) -> None:
    said = create_pod(cluster, annotations=HI, schedulerName="k40s-scheduler", nodeName="edge-1")

    assert "must not name its node" in said


def test_nobody_claims_what_was_granted(cluster: Cluster) -> None:
    assert "only the k40s extender writes them" in create_pod(cluster, annotations=STATUS)


def create_lease(cluster: Cluster, name: str, account: str, node: str) -> str:
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "k40s-system"},
        "spec": {"holderIdentity": "edge-7"},
    }
    words = ("create", "--filename=-", *identity(account, node))
    return attempt(cluster, *words, stdin=json.dumps(lease))


def test_a_daemon_beats_for_its_own_node(cluster: Cluster) -> None:
    assert create_lease(cluster, "malacoda-edge-7", "malacoda", "edge-7") == ""
    assert create_lease(cluster, "anything", "", "") == ""


@pytest.mark.parametrize(
    ("name", "account", "node"),
    [
        ("malacoda-edge-8", "malacoda", "edge-7"),
        ("rubicante-edge-7", "malacoda", "edge-7"),
        ("other", "rubicante", "edge-7"),
        ("scarmiglione-edge-8", "scarmiglione", "edge-7"),
        ("scarmiglione-edge-7", "rubicante", "edge-7"),
        ("malacoda-edge-7", "", ""),
    ],
)
def test_nobody_beats_for_another(cluster: Cluster, name: str, account: str, node: str) -> None:
    said = create_lease(cluster, name, account, node)

    assert "a heartbeat is renewed by the daemon and on the node that its name says" in said


LEASES = "/apis/coordination.k8s.io/v1/namespaces/k40s-system/leases"


def end_lease(cluster: Cluster, name: str, node: str) -> str:
    """Delete a Lease as the account that gives nodes back, on ``node``; nothing is changed."""
    words = ("delete", f"--raw={LEASES}/{name}?dryRun=All")
    try:
        cluster.kubectl(*words, *identity("k40s-give-back", node))
    except CommandError as error:
        return str(error)
    return ""


def test_what_gives_a_node_back_ends_that_nodes_heartbeat_alone(cluster: Cluster) -> None:
    assert end_lease(cluster, "rubicante-edge-1", "edge-1") == ""

    for name, node in (
        ("rubicante-edge-1", "edge-2"),
        ("rubicante-edge-1", ""),
        ("malacoda-edge-1", "edge-1"),
        ("k40s-scheduler", "edge-1"),
    ):
        said = end_lease(cluster, name, node)
        assert "the heartbeat of rubicante on its own node" in said, (name, node)


@pytest.mark.parametrize(
    "account", ["k40s-extender", "k40s-scheduler", "k40s-controller", "malacoda", "rubicante"]
)
def test_nobody_of_ours_reads_secrets(cluster: Cluster, account: str) -> None:
    with pytest.raises(CommandError):
        cluster.kubectl(
            *("auth", "can-i", "get", "secrets", "--namespace=k40s-system", "--quiet"),
            *identity(account, ""),
        )
