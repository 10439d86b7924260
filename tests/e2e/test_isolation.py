"""Isolation by criticality: a pod runs in the runtime that its criticality needs, or is refused."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cli.demo import stage_of
from demo.pods import OVERRUN, real_time_pod, sleeping_pod
from demo.stage import Stage
from k40s.reasons import Reason
from localcluster.cluster import Cluster
from localcluster.components.containerd import ISOLATED, ISOLATED_ROOT
from localcluster.nodes.layout import MOUNTS
from tests.e2e.patience import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

NAMES = ("isolated", "bare", "elsewhere")
TASK = {"name": "ctl", "period": "100ms", "wcet": {"edge": "2ms"}}
DEPLOYMENT = "deployment/k40s-extender"


@pytest.fixture
def stage(cluster: Cluster) -> Iterator[Stage]:
    """The operator maps HI and LOW to the second runtime, for the time of the test."""
    stage = stage_of(cluster)
    setting = f"K40S_RUNTIME_CLASSES=HI={ISOLATED},LOW={ISOLATED}"
    try:
        set_extender(cluster, setting)
        yield stage
    finally:
        stage.observer.delete(*NAMES)
        set_extender(cluster, "K40S_RUNTIME_CLASSES-")


def set_extender(cluster: Cluster, setting: str) -> None:
    """Set or remove a variable, and wait until kube-scheduler can reach no former pod."""
    words = ("-n", "k40s-system")
    extenders = ("get", "pods", "-l", "app.kubernetes.io/name=k40s-extender", "-o", "name")
    cluster.kubectl(*words, "set", "env", DEPLOYMENT, setting)
    cluster.kubectl(*words, "rollout", "status", DEPLOYMENT, "--timeout=180s")
    wait_until(
        "the former extender is gone",
        lambda: len(cluster.kubectl(*words, *extenders).split()) == 1,
        seconds=120,
    )


def with_class(manifest: object, *, node: str = "") -> dict[str, Any]:
    pod: dict[str, Any] = json.loads(json.dumps(manifest))
    pod["spec"]["runtimeClassName"] = ISOLATED
    if node:
        pod["spec"]["nodeSelector"] = {"kubernetes.io/hostname": node}
    return pod


def is_enforced(stage: Stage, name: str) -> bool:
    conditions = stage.observer.pod(name)["status"].get("conditions", [])
    return ("k40s.io/enforced", "True") in {(one["type"], one["status"]) for one in conditions}


def test_a_critical_pod_runs_in_the_second_runtime_or_not_at_all(
    cluster: Cluster, stage: Stage
) -> None:
    node, other = stage.real_time_node, stage.general_node
    isolated = real_time_pod(
        "isolated", criticality="HI", script=OVERRUN.format(task="ctl"), tasks=[TASK]
    )
    pods = [
        with_class(isolated),
        sleeping_pod("bare", criticality="HI"),
        with_class(sleeping_pod("elsewhere", criticality="LOW"), node=other),
    ]
    refusals = {"bare": Reason.ISOLATION_CLASS, "elsewhere": Reason.ISOLATION_NO_RUNTIME}

    stage.observer.create(*pods)
    for name, reason in refusals.items():
        wait_until(
            f"{name} is refused",
            lambda name=name, reason=reason: reason.text in stage.observer.refusals(name),
            seconds=120,
        )
    stage.wait_running("isolated")
    wait_until("its task is held", lambda: is_enforced(stage, "isolated"), seconds=120)

    pod = stage.observer.pod("isolated")
    id_ = pod["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
    state = cluster.paths.node(node) / MOUNTS[ISOLATED_ROOT.parent] / ISOLATED_ROOT.name
    assert (state / "k8s.io" / id_).is_dir()
    assert pod["spec"]["overhead"] == {"cpu": "10m", "memory": "8Mi"}
    assert {name: stage.observer.phase_of(name) for name in refusals} == dict.fromkeys(
        refusals, "Pending"
    )
