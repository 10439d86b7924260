"""What application teams get wrong: each mistake is refused at apply, by its one clear message."""

import json
from collections.abc import Iterator

import pytest

from cli.demo import stage_of
from demo.pods import NAMESPACE, Manifest, real_time_pod, sleeping_pod
from demo.stage import Stage
from localcluster.cluster import Cluster
from localcluster.errors import CommandError

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

WCET = {"edge": "1ms"}
MISTAKES = {
    "misspelt": ({"criticality": "HIGH", "tasks": []}, ["k40s.io/criticality", "HI"]),
    "no-period": (
        {"criticality": "HI", "tasks": [{"name": "t", "wcet": WCET}]},
        ["k40s.io/tasks", "$[0]", "period"],
    ),
    "bare-number": (
        {"criticality": "HI", "tasks": [{"name": "t", "wcet": WCET, "period": 100}]},
        ["k40s.io/tasks", "$[0].period", "100", "unit"],
    ),
    "wcet-above-deadline": (
        {"criticality": "HI", "tasks": [{"name": "t", "wcet": {"edge": "9ms"}, "period": "5ms"}]},
        ["k40s.io/tasks", "$[0].wcet", "9ms"],
    ),
}


@pytest.fixture
def stage(cluster: Cluster) -> Iterator[Stage]:
    stage = stage_of(cluster)
    yield stage
    stage.observer.delete("mistaken")


def _mistaken(criticality: str, tasks: list[object]) -> Manifest:
    if not tasks:
        return sleeping_pod("mistaken", criticality=criticality)
    return real_time_pod("mistaken", criticality=criticality, script="pass", tasks=tasks)


def _template_of(pod: Manifest) -> Manifest:
    """A Deployment of such pods, without a replica."""
    labels = {"app": "mistaken"}
    metadata = {**json.loads(json.dumps(pod["metadata"])), "labels": labels}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "mistaken", "namespace": NAMESPACE},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": metadata, "spec": {**_spec(pod), "restartPolicy": "Always"}},
        },
    }


def _spec(pod: Manifest) -> dict[str, object]:
    spec: dict[str, object] = json.loads(json.dumps(pod["spec"]))
    return spec


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_an_annotation_is_named_at_apply(mistake: str, stage: Stage) -> None:
    arguments, words = MISTAKES[mistake]
    pod = _mistaken(**arguments)  # type: ignore[arg-type]  # literals of the table

    for made, where in ((pod, ""), (_template_of(pod), "spec.template: ")):
        with pytest.raises(CommandError) as refused:
            stage.observer.create(made)

        text = str(refused.value)
        assert f"denied the request: {where}pod.invalid-annotation: " in text
        assert [word for word in words if word not in text] == [], text


def test_a_misspelt_key_is_named_at_apply(stage: Stage) -> None:
    pod = json.loads(json.dumps(sleeping_pod("mistaken", criticality="LOW")))
    pod["metadata"]["annotations"] = {"k40s.io/task": "[]"}

    with pytest.raises(CommandError, match=r"expected k40s\.io/tasks"):
        stage.observer.create(pod)


def test_a_critical_pod_gets_scheduler_and_priority(stage: Stage, cluster: Cluster) -> None:
    pod = json.loads(json.dumps(sleeping_pod("mistaken", criticality="HI")))
    del pod["spec"]["schedulerName"]

    stage.observer.create(pod)

    words = (f"--namespace={NAMESPACE}", "get", "pod", "mistaken", "--output=json")
    spec = json.loads(cluster.kubectl(*words))["spec"]
    assert (spec["schedulerName"], spec["priorityClassName"]) == ("k40s-scheduler", "k40s-hi")


def test_a_critical_pod_of_another_scheduler_is_refused_at_once(stage: Stage) -> None:
    pod = json.loads(json.dumps(sleeping_pod("mistaken", criticality="HI")))
    pod["spec"]["schedulerName"] = "another-scheduler"

    with pytest.raises(CommandError, match="k40s-scheduler"):
        stage.observer.create(pod)
