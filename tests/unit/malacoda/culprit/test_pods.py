"""What the search knows of the node's pods, and which of them it never suspects."""

from typing import Any

import pytest

from daemons.malacoda.culprit.pods import NodePods
from k40s.assurance.detector import Victim
from k40s.assurance.suspects.usage import PodIdentity
from k40s.criticality import Criticality
from k40s.kube.records import Fault
from tests.fakes.malacoda.culprit import pod_record


@pytest.fixture
def pods() -> NodePods:
    return NodePods(namespaces=("k40s-system",))


def test_a_pod_has_the_criticality_that_it_declares(pods: NodePods) -> None:
    pods.replace([pod_record("a", "HI"), pod_record("b", "LOW"), pod_record("c")])

    assert pods.view.identities == {
        "a": PodIdentity(name="default/a", criticality=Criticality.HI),
        "b": PodIdentity(name="default/b", criticality=Criticality.LOW),
        "c": PodIdentity(name="default/c", criticality=Criticality.NO),
    }
    assert pods.view.references["c"].uid == "c"
    assert pods.view.threatened is Criticality.HI


@pytest.mark.parametrize(
    "changes",
    [
        {"namespace": "kube-system"},
        {"namespace": "k40s-system"},
        {"priority_class": "system-node-critical"},
        {"annotations": {"kubernetes.io/config.mirror": "hash"}},
        {"annotations": {"k40s.io/criticality": "MEDIUM"}},
        {"annotations": {"k40s.io/criticality": "LOW", "k40s.io/tasks": "["}},
        {"faults": (Fault(field="annotations", text="found 5"),)},
        {"faults": (Fault(field="priority_class", text="found 5"),)},
    ],
    ids=str,
)
def test_system_pods_and_those_that_cannot_be_read_are_protected(
    pods: NodePods, changes: dict[str, Any]
) -> None:
    pods.upsert(pod_record("a", **changes))

    (identity,) = pods.view.identities.values()
    assert identity.protected
    assert pods.view.threatened is Criticality.NO


def test_what_cannot_be_read_and_does_not_matter_protects_nobody(pods: NodePods) -> None:
    pods.upsert(pod_record("a", faults=(Fault(field="states", text="found 5"),)))

    assert not pods.view.identities["a"].protected


def test_a_static_pod_has_the_uid_of_its_cgroups(pods: NodePods) -> None:
    static = {"kubernetes.io/config.mirror": "hash"}
    pods.replace([pod_record("a", annotations=static), pod_record("b")])

    assert set(pods.view.identities) == {"hash", "b"}
    assert pods.view.references["hash"].uid == "a"


def test_no_pod_can_protect_another_by_naming_its_uid(pods: NodePods) -> None:
    false = {"kubernetes.io/config.mirror": "b"}
    pods.replace([pod_record("b"), pod_record("a", annotations=false)])

    assert pods.view.identities["b"].name == "default/b"
    assert not pods.view.identities["b"].protected


def test_pods_come_change_and_go(pods: NodePods) -> None:
    pods.replace([pod_record("a", "HI"), pod_record("b", "LOW")])
    pods.delete("a")
    assert pods.view.threatened is Criticality.LOW

    pods.merge([pod_record("c", "HI")])
    assert set(pods.view.identities) == {"b", "c"}

    pods.upsert(pod_record("c", "HI", phase="Succeeded"))
    assert set(pods.view.identities) == {"b"}

    pods.replace([pod_record("d")])
    assert set(pods.view.identities) == {"d"}
    assert pods.view.threatened is Criticality.NO
    pods.delete("unknown")
    pods.replace([])
    assert not pods.view.identities


def test_the_view_stays_where_nothing_changes(pods: NodePods) -> None:
    pods.replace([pod_record("a", "HI")])
    before = pods.view

    pods.upsert(pod_record("a", "HI", resource_version="2"))

    assert pods.view is before


TASKS = '[{"name": "a", "container": "main", "period": "10ms", "wcet": "1ms"}]'


@pytest.mark.parametrize(
    ("changes", "victims"),
    [
        ({"annotations": {"k40s.io/criticality": "LOW"}}, {Victim.ORDINARY}),
        (
            {"annotations": {"k40s.io/criticality": "LOW", "k40s.io/tasks": TASKS}},
            {Victim.REAL_TIME},
        ),
        (
            {
                "annotations": {"k40s.io/criticality": "LOW", "k40s.io/tasks": TASKS},
                "sidecars": ("proxy",),
            },
            {Victim.REAL_TIME, Victim.ORDINARY},
        ),
        ({}, set()),
        ({"annotations": {"k40s.io/criticality": "high"}}, set()),
    ],
    ids=["no tasks", "tasks", "tasks and a sidecar", "no criticality", "invalid"],
)
def test_a_hazard_can_harm_the_tasks_of_critical_pods_and_containers_without_any(
    pods: NodePods, changes: dict[str, Any], victims: set[Victim]
) -> None:
    pods.upsert(pod_record("a", **changes))

    assert pods.view.victims == victims


def test_critical_are_the_pods_of_the_highest_criticality(pods: NodePods) -> None:
    tasks = '[{"name":"t","period":"20ms","wcet":"2ms"}]'
    low = {"k40s.io/criticality": "LOW", "k40s.io/tasks": tasks}
    pods.replace([pod_record("low", annotations=low), pod_record("plain", "LOW"), pod_record("c")])
    first = pods.view

    pods.upsert(pod_record("hi", "HI"))

    assert first.critical == {"low", "plain"}
    assert first.real_time == {"low"}
    assert pods.view.critical == {"hi"}
    pods.delete("hi")
    assert pods.view.critical == {"low", "plain"}
    pods.replace([pod_record("c")])
    assert pods.view.critical == frozenset()
