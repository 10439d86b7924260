"""What the watch tells of pods: bounded, whole, and read as what each pod is."""

import json
from dataclasses import replace

import pytest

from extender.cache.pods import PodTable
from extender.cache.workloads import WorkloadCache
from k40s.annotations import ALLOCATION_KEY, CRITICALITY_KEY, TASKS_KEY
from k40s.errors import UnreadableError
from k40s.kube.records import Fault, PodRecord
from k40s.kube.transport import ConflictError
from tests.fakes.extender.world import (
    World,
    make_cpu_state,
    make_node,
    make_pod,
    make_pod_record,
    make_task,
)


def tasks(number: int = 1, *, padding: int = 0) -> dict[str, str]:
    listed = [{"name": f"t{i}", "period": "100ms", "wcet": "1ms"} for i in range(number)]
    return {CRITICALITY_KEY: "LOW", TASKS_KEY: json.dumps(listed) + " " * padding}


def with_hole(record: PodRecord, field: str, value: object) -> PodRecord:
    fault = Fault(field=field, text=f"{field}: found 5, expected another thing")
    return replace(record, faults=(fault,), **{field: value})  # type: ignore[arg-type]


def test_unbound_pods_with_long_tasks_are_kept_up_to_a_bound() -> None:
    table = PodTable(WorkloadCache(), characters=5_000)
    records = [make_pod_record(f"u{i}", annotations=tasks(padding=950)) for i in range(8)]

    table.replace(records[:4])
    for record in records[4:]:
        table.upsert(record)

    kept = [table.find(record.uid) is not None for record in records]
    assert kept == [False] * 3 + [True] * 5


def test_a_list_of_many_long_unbound_pods_is_bounded_as_well() -> None:
    table = PodTable(WorkloadCache(), characters=5_000)
    records = [make_pod_record(f"u{i}", annotations=tasks(padding=950)) for i in range(100)]

    table.replace(records)

    assert sum(table.find(record.uid) is not None for record in records) == 5


def test_pods_that_are_bound_or_gone_make_room_for_unbound_ones() -> None:
    table = PodTable(WorkloadCache(), characters=2_500)
    for uid in ("bound", "gone", "ended"):
        table.upsert(make_pod_record(uid, annotations=tasks(padding=950)))
        if uid == "bound":
            table.upsert(make_pod_record(uid, node="a", annotations=tasks(padding=950)))
        if uid == "gone":
            table.delete(uid)
    table.upsert(make_pod_record("ended", phase="Failed", annotations=tasks(padding=950)))

    for uid in ("one", "two"):
        table.upsert(make_pod_record(uid, annotations=tasks(padding=950)))

    assert all(table.find(uid) for uid in ("bound", "one", "two"))
    assert [pod.uid for pod in table.bound()] == ["bound"]


def test_a_bound_pod_from_before_the_bounds_on_tasks_is_not_counted_as_invalid() -> None:
    world = World()
    world.add(make_node("a", level=20))
    for uid, text in (("many", tasks(40)), ("long", tasks(padding=20_000))):
        granted = {**text, ALLOCATION_KEY: "{}"}
        world.watched_pods.upsert(make_pod_record(uid, node="a", annotations=granted))
        world.watched_pods.upsert(make_pod_record(f"new-{uid}", annotations=text))

    world.unadmitted.look()

    count = world.registry.get_sample_value
    assert count("k40s_extender_misplaced_pods", {"cause": "invalid-annotation"}) == 0
    assert len(world.watched_pods.bound()) == 2
    new = [world.watched_pods.find(f"new-{uid}") for uid in ("many", "long")]
    assert [pod is not None and pod.contract.workload is None for pod in new] == [True, True]


def test_a_bound_pod_whose_annotations_cannot_be_read_now_is_what_it_was() -> None:
    table = PodTable(WorkloadCache())
    table.upsert(make_pod_record("u", node="a", annotations=tasks()))

    table.upsert(with_hole(make_pod_record("u", node="a"), "annotations", {}))
    after_change = table.bound()
    table.replace([with_hole(make_pod_record("u", node="a"), "annotations", {})])

    assert [pod.contract.has_tasks for pod in after_change] == [True]
    assert [pod.contract.has_tasks for pod in table.bound()] == [True]


def test_bind_does_not_rely_on_a_version_of_the_pod_that_cannot_be_read() -> None:
    table = PodTable(WorkloadCache())

    table.upsert(with_hole(make_pod_record("u", resource_version="7"), "annotations", {}))

    pod = table.find("u")
    assert pod is not None
    assert pod.resource_version == ""


@pytest.mark.parametrize("when", ["before", "after the reservation"])
def test_a_pod_that_cannot_be_read_is_not_bound_and_that_is_the_reason(when: str) -> None:
    pod = make_pod("rt", criticality="LOW", tasks=[make_task("1ms")])
    world = World()
    world.add(make_node("a", level=20, cpu=make_cpu_state()))
    world.pods.get_fault = UnreadableError("uid-rt: metadata.labels: found 5, expected an object")
    if when != "before":
        world.filter(pod, ["a"])
        world.pods.fault = ConflictError("409 the pod is not as it was")

    error = world.bind(pod, "a")

    assert error.startswith("pod.unreadable: ")
    assert world.pods.bound == {}
    assert world.cpu.node.reservations == ()


def test_what_is_of_no_matter_to_the_contract_may_be_unreadable() -> None:
    table = PodTable(WorkloadCache())
    record = make_pod_record("u", annotations=tasks(), resource_version="7")

    table.upsert(with_hole(record, "cpu_request_millis", 1000))

    pod = table.find("u")
    assert pod is not None
    assert pod.resource_version == "7"
