"""What preemption knows of bound pods."""

from dataclasses import replace

from extender.cache.bound_pods import BoundPods
from extender.cache.workloads import WorkloadCache
from k40s.criticality import Criticality
from k40s.kube.records import Fault
from tests.fakes.extender.world import FakeClock, make_pod_record

LOW = {"k40s.io/criticality": "LOW"}


def make_table() -> tuple[BoundPods, FakeClock]:
    clock = FakeClock()
    return BoundPods(WorkloadCache(), namespaces=("k40s",), clock=clock.monotonic), clock


def test_only_bound_pods_are_known_by_uid_and_node() -> None:
    table, _ = make_table()
    table.feed.replace([make_pod_record("u", node="n", annotations=LOW), make_pod_record("w")])

    (pod,) = table.on("n")
    assert table.find("u") is pod
    assert pod.criticality is Criticality.LOW
    assert table.find("w") is None
    assert table.on("other") == []


def test_a_pod_of_which_the_criticality_cannot_be_read_has_none_or_its_last() -> None:
    table, _ = make_table()
    unreadable = (Fault(field="annotations", text="?"),)
    table.feed.upsert(replace(make_pod_record("new", node="n"), faults=unreadable))
    table.feed.upsert(make_pod_record("known", node="n", annotations=LOW))
    table.feed.upsert(replace(make_pod_record("known", node="n"), faults=unreadable))
    table.feed.upsert(make_pod_record("odd", node="n", annotations={"k40s.io/criticality": "x"}))

    found = {pod.uid: pod.criticality for pod in table.on("n")}
    assert found == {"new": None, "known": Criticality.LOW, "odd": None}


def test_a_pod_that_has_ended_or_was_deleted_is_gone_for_a_while() -> None:
    table, clock = make_table()
    table.feed.merge([make_pod_record("a", node="n"), make_pod_record("b", node="n")])
    table.feed.upsert(make_pod_record("a", node="n", phase="Succeeded"))
    table.feed.delete("b")
    table.feed.delete("never-seen")

    assert table.on("n") == []
    assert sorted(table.gone_from("n")) == ["a", "b"]
    assert table.gone_from("m") == []
    clock.advance(61)
    assert table.gone_from("n") == []


def test_a_list_without_a_pod_means_that_it_is_gone() -> None:
    table, _ = make_table()
    table.feed.upsert(make_pod_record("a", node="n"))
    table.feed.replace([])

    assert table.gone_from("n") == ["a"]


def test_a_bound_pod_stays_where_it_is_while_its_node_cannot_be_read() -> None:
    table, _ = make_table()
    table.feed.upsert(make_pod_record("a", node="n"))
    table.feed.upsert(make_pod_record("a", deleting=True))

    assert [(pod.node, pod.deleting) for pod in table.on("n")] == [("n", True)]


def test_a_pod_that_has_been_ending_for_minutes_is_not_waited_for() -> None:
    table, clock = make_table()
    table.feed.upsert(make_pod_record("a", node="n"))
    table.feed.upsert(make_pod_record("a", node="n", deleting=True))
    clock.advance(599)
    table.feed.upsert(make_pod_record("a", node="n", deleting=True))
    awaited = table.ending_on("n")
    clock.advance(2)

    assert awaited == ["a"]
    assert table.ending_on("n") == []
