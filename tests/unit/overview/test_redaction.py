"""A reader sees nothing of namespaces that are not his."""

from dataclasses import replace

import pytest

from k40s.overview.json import format_overview
from k40s.overview.model import Happening, Overview, SuspectRow
from k40s.overview.redaction import visible
from tests.fakes.observed_cluster import ObservedCluster, crowded, pod_item, reservation


def two_namespaces() -> Overview:
    """One core that serves a pod of plant and two of office."""
    cluster = ObservedCluster()
    held = []
    for number, (namespace, name) in enumerate(
        [("plant", "pump"), ("office", "printer-1"), ("office", "printer-2")]
    ):
        server = reservation(f"uid-{name}", budget_ms=10 * (number + 1), priority=number + 1)
        held.append(server)
        cluster.pods.append(pod_item(name, namespace=namespace, node="edge", held=[server]))
    cluster.add_node("edge", held=held)
    return cluster.overview()


def told(text: str, *, namespace: str = "", pod: str = "") -> Happening:
    return Happening(
        at="2026-03-01T12:00:00Z", kind="act", node="edge", namespace=namespace, pod=pod, text=text
    )


def test_hidden_servers_on_a_core_are_one_without_a_name() -> None:
    shown = visible(two_namespaces(), lambda name: name == "plant")

    own, others = shown.nodes[0].cores[0].servers
    assert own.pod == "pump"
    assert (others.pod_uid, others.namespace, others.pod, others.container) == ("", "", "", "")
    assert (others.criticality, others.mechanism) == ("", "")
    assert (others.budget, others.period) == (0.0, 0.0)
    assert abs(others.share - 0.5) < 1e-9
    assert [one.name for one in shown.pods] == ["pump"]


def test_who_sees_all_sees_the_whole() -> None:
    overview = two_namespaces()

    assert visible(overview, lambda _: True) == overview


def test_who_sees_nothing_still_sees_how_full_the_cores_are() -> None:
    shown = visible(two_namespaces(), lambda _: False)

    assert [len(core.servers) for core in shown.nodes[0].cores] == [1, 0]
    assert "office" not in format_overview(shown)


def test_a_happening_that_names_a_hidden_pod_vanishes() -> None:
    overview = replace(
        two_namespaces(),
        happenings=(
            told("pod office/printer-1 is frozen"),
            told("printer-2 moves to another node"),
            told("its events", namespace="office", pod="gone"),
            told("the Deployment of office", namespace="office"),
            told("pod 0123abcd-0000-4000-8000-000000000000 is frozen"),
            told("secret/other is suspected"),
            told("pod printer-9 is evicted from node edge"),
            told("pod pump is evicted from node edge"),
            told("no pod is suspected: the pod that leads is held"),
            told("pod plant/pump is frozen"),
            told("cpu-pressure 0.90 in /proc/pressure/cpu, rule: 1/2"),
        ),
    )

    shown = visible(overview, lambda name: name in ("plant", "1"))

    assert [one.text for one in shown.happenings] == [
        "pod pump is evicted from node edge",
        "no pod is suspected: the pod that leads is held",
        "pod plant/pump is frozen",
        "cpu-pressure 0.90 in /proc/pressure/cpu, rule: 1/2",
    ]


def test_a_visible_suspect_keeps_its_row_and_loses_what_names_others() -> None:
    overview = two_namespaces()
    (node,) = overview.nodes
    suspects = (
        SuspectRow(namespace="plant", pod="pump", evidence="next: office/printer-1", act="named"),
        SuspectRow(namespace="office", pod="printer-2", evidence="it", act="frozen"),
        SuspectRow(namespace="", pod="", evidence="asked", act="eviction asked"),
    )
    overview = replace(overview, nodes=(replace(node, suspects=suspects),))

    (suspect,) = visible(overview, lambda name: name == "plant").nodes[0].suspects

    assert (suspect.pod, suspect.evidence) == ("pump", "")


def test_what_could_not_be_read_of_hidden_pods_vanishes() -> None:
    overview = replace(
        two_namespaces(),
        unreadable=("pod office/printer-1: bad", "node edge: bad", "pod plant/pump: bad"),
    )

    assert visible(overview, lambda name: name == "plant").unreadable == (
        "node edge: bad",
        "pod plant/pump: bad",
    )


def test_each_namespace_is_asked_for_once() -> None:
    asked: list[str] = []

    def may_see(name: str) -> bool:
        asked.append(name)
        return True

    visible(crowded(4, 20).overview(), may_see)

    assert sorted(asked) == sorted(f"team-{number}" for number in range(10))


@pytest.mark.parametrize(
    "text",
    [
        "printer-1.office.svc does not answer",
        "scope main_printer-1.scope is gone",
        "/sys/fs/cgroup/kubepods-pod0b7c1a52_1111_2222_3333_444455556666.slice: EBUSY",
        "/sys/fs/cgroup/kubepods/pod0b7c1a52-1111-2222-3333-444455556666: EBUSY",
    ],
)
def test_a_name_or_uid_within_a_longer_word_hides_the_text(text: str) -> None:
    overview = replace(two_namespaces(), happenings=(told(text),), unreadable=(text,))

    shown = visible(overview, lambda name: name == "plant")

    assert (shown.happenings, shown.unreadable) == ((), ())


def test_a_cgroup_of_a_pod_that_may_be_seen_is_told() -> None:
    cluster = ObservedCluster()
    uid = "0b7c1a52-1111-2222-3333-444455556666"
    cluster.pods.append(pod_item("pump", node="edge", uid=uid))
    text = "/sys/fs/cgroup/kubepods-pod0b7c1a52_1111_2222_3333_444455556666.slice: EBUSY"
    overview = replace(cluster.overview(), happenings=(told(text),))

    assert visible(overview, lambda name: name == "plant").happenings == (told(text),)
