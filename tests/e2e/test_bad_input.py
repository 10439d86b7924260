"""What application teams get wrong: each mistake has its one clear message, and nothing changes."""

import json
from collections.abc import Iterator

import pytest

from cli.demo import stage_of
from demo.observer import wait_until
from demo.pods import Manifest, real_time_pod, sleeping_pod
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
    wait_until("nothing of other tests is reserved", lambda: stage.reserved() == 0, seconds=180)
    yield stage
    stage.observer.delete("mistaken")


def _mistaken(criticality: str, tasks: list[object]) -> Manifest:
    if not tasks:
        return sleeping_pod("mistaken", criticality=criticality)
    return real_time_pod("mistaken", criticality=criticality, script="pass", tasks=tasks)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_an_annotation_is_named_in_the_pods_event(mistake: str, stage: Stage) -> None:
    pod, words = MISTAKES[mistake]
    published = stage.utilization()

    stage.observer.create(_mistaken(**pod))  # type: ignore[arg-type]  # literals of the table
    wait_until("the pod is refused", lambda: stage.observer.refusals("mistaken"), seconds=120)

    refusal = stage.observer.refusals("mistaken")
    assert [word for word in words if word not in refusal] == [], refusal
    assert stage.observer.phase_of("mistaken") == "Pending"
    assert stage.utilization() == published


def test_an_annotation_that_is_not_json_is_named_in_the_pods_event(stage: Stage) -> None:
    pod = dict(sleeping_pod("mistaken", criticality="LOW"))
    metadata = json.loads(json.dumps(pod["metadata"]))
    metadata["annotations"]["k40s.io/tasks"] = "[{"
    pod["metadata"] = metadata

    stage.observer.create(pod)
    wait_until("the pod is refused", lambda: stage.observer.refusals("mistaken"), seconds=120)

    refusal = stage.observer.refusals("mistaken")
    assert "k40s.io/tasks" in refusal
    assert "JSON" in refusal


def test_a_critical_pod_of_another_scheduler_is_refused_at_once(stage: Stage) -> None:
    pod = json.loads(json.dumps(sleeping_pod("mistaken", criticality="HI")))
    pod["spec"]["schedulerName"] = "default-scheduler"

    with pytest.raises(CommandError, match="k40s-scheduler"):
        stage.observer.create(pod)
