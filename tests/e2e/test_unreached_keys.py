"""Annotations on a Deployment instead of its template: nothing is refused, its owner is told."""

import json
from collections.abc import Iterator

import pytest

from cli.demo import stage_of
from demo.pods import NAMESPACE
from demo.stage import Stage
from localcluster.cluster import Cluster
from tests.e2e.patience import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

_NAMES = ("misplaced", "placed")
_HI = {"k40s.io/criticality": "HI"}


def _deployment(name: str, *, own: dict[str, str], pods: dict[str, str]) -> dict[str, object]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "annotations": own},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": pods},
                "spec": {
                    "schedulerName": "k40s-scheduler",
                    "containers": [{"name": "main", "image": "none"}],
                },
            },
        },
    }


def _told(cluster: Cluster, name: str) -> list[str]:
    selector = f"involvedObject.kind=Deployment,involvedObject.name={name}"
    events = json.loads(
        cluster.kubectl(
            *(f"--namespace={NAMESPACE}", "get", "events", "--output=json"),
            f"--field-selector={selector},reason=KeyReachesNoPod",
        )
    )
    return [event["message"] for event in events["items"]]


@pytest.fixture
def stage(cluster: Cluster) -> Iterator[Stage]:
    yield stage_of(cluster)
    cluster.kubectl(
        *(f"--namespace={NAMESPACE}", "delete", "deployment", "--ignore-not-found", *_NAMES)
    )


def test_a_deployment_whose_annotations_reach_no_pod_is_told(
    cluster: Cluster, stage: Stage
) -> None:
    stage.observer.create(
        _deployment("misplaced", own=_HI, pods={}), _deployment("placed", own=_HI, pods=_HI)
    )

    wait_until("the owner is told", lambda: _told(cluster, "misplaced"), seconds=60)

    assert "spec.template.metadata.annotations" in _told(cluster, "misplaced")[0]
    assert _told(cluster, "placed") == []
