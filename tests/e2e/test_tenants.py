"""A second namespace runs into its bound, sees why, and goes on when room is given back."""

import json
from collections.abc import Iterator

import pytest

from demo.pods import Manifest, real_time_pod
from localcluster.cluster import Cluster
from tests.e2e.examples import wait_for
from tests.fakes.registered_nodes import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

TEAM = "second-team"
TASKS: list[object] = [{"name": "t", "wcet": {"edge": "25ms"}, "period": "500ms"}]
TENANT = {
    "apiVersion": "k40s.io/v1alpha1",
    "kind": "Tenant",
    "metadata": {"name": TEAM},
    "spec": {"namespaces": [TEAM], "criticalities": ["NO", "LOW"], "bandwidth": "75m"},
}


@pytest.fixture
def team(cluster: Cluster) -> Iterator[Cluster]:
    """A namespace that may have one and a half of these pods."""
    cluster.kubectl("create", "namespace", TEAM)
    account = ("get", "serviceaccount", "default", f"--namespace={TEAM}", "--ignore-not-found")
    wait_until(lambda: bool(cluster.kubectl(*account)))  # pods are refused without it
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(TENANT))
    yield cluster
    cluster.kubectl("delete", "namespace", TEAM, timeout=120)
    cluster.kubectl("delete", "tenant", TEAM)


def apply(cluster: Cluster, name: str, *, criticality: str = "LOW") -> None:
    pod: Manifest = real_time_pod(
        name, criticality=criticality, script="import time; time.sleep(9999)", tasks=TASKS
    )
    metadata = {**json.loads(json.dumps(pod["metadata"])), "namespace": TEAM}
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps({**pod, "metadata": metadata}))


def events_of(cluster: Cluster, name: str) -> str:
    chosen = f"--field-selector=involvedObject.name={name}"
    return cluster.kubectl("get", "events", f"--namespace={TEAM}", chosen, "--output=json")


def used(cluster: Cluster) -> str:
    return cluster.kubectl("get", "tenant", TEAM, "--output=jsonpath={.status.bandwidth}").strip()


def test_a_namespace_runs_into_its_bound_and_sees_why(team: Cluster) -> None:
    apply(team, "first")
    wait_for(team, "PodScheduled", "pod/first", f"--namespace={TEAM}")

    apply(team, "second")

    wait_until(lambda: "tenant.bandwidth: the pod's namespace" in events_of(team, "second"))
    wait_until(lambda: used(team) == "0.05")
    team.kubectl("delete", "pod", "first", f"--namespace={TEAM}", "--grace-period=0", "--force")
    wait_for(team, "PodScheduled", "pod/second", f"--namespace={TEAM}")
