"""Objects that nobody should have made: each has its record, and what is wrong with it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from k40s.kube.objects.conditions import read_conditions
from k40s.kube.objects.managed_pods import managed_pod_record
from k40s.kube.objects.read import NamelessError, lease_record, node_record, pod_record
from k40s.kube.records import PodRecord
from k40s.units import NS_PER_S

ENDLESS = 10**5000
"""More digits than Python turns into text."""
NAMES = {"uid": "u1", "namespace": "default", "name": "p", "resourceVersion": "7"}


def kind(value: object) -> str:
    return type(value).__name__


def pod(
    *, metadata: dict[str, Any] | None = None, status: object = None, **spec: object
) -> dict[str, Any]:
    containers = [{"name": "c", "resources": {"requests": {"cpu": "250m"}}}]
    return {
        "metadata": NAMES | (metadata or {}),
        "spec": {"nodeName": "edge-1", "containers": containers, **spec},
        "status": {"phase": "Running"} if status is None else status,
    }


def faults(record: PodRecord) -> set[str]:
    return {fault.field for fault in record.faults}


def requesting(cpu: object) -> dict[str, Any]:
    return pod(containers=[{"name": "c", "resources": {"requests": {"cpu": cpu}}}])


@pytest.mark.parametrize(
    ("cpu", "millis"),
    [
        ("128Mi", 134_217_728_000),
        ("1Ki", 1_024_000),
        ("10Gi", 10_737_418_240_000),
        ("1e3", 1_000_000),
        ("1e1000000", ((1 << 63) - 1) * 1000),
        (2, 2000),
        (0.5, 500),
        (" 1 ", 1000),
        (None, 0),
        ("-1", 0),
    ],
)
def test_swapped_and_odd_quantities_are_read(cpu: object, millis: int) -> None:
    record = pod_record(requesting(cpu))

    assert (record.cpu_request_millis, record.faults) == (millis, ())


@pytest.mark.parametrize("cpu", ["lots", "", "1 2", True, [], {}, float("nan"), ENDLESS], ids=kind)
def test_a_request_that_is_no_quantity_counts_as_a_cpu(cpu: object) -> None:
    record = pod_record(requesting(cpu))

    assert record.cpu_request_millis == 1000
    assert faults(record) == {"cpu_request_millis"}
    assert "spec.containers[0].resources.requests.cpu: found" in record.faults[0].text
    assert (record.node, record.phase) == ("edge-1", "Running")


@pytest.mark.parametrize(
    "spec",
    [
        {"containers": [{"name": "c", "resources": 5}]},
        {"containers": [{"name": "c", "resources": {"requests": ["cpu"]}}]},
        {"initContainers": "none"},
        {"initContainers": [None]},
        {"overhead": 1},
        {"resources": "some"},
    ],
)
def test_requests_of_another_shape_count_at_least_a_cpu(spec: dict[str, object]) -> None:
    record = pod_record(pod(**spec))

    assert record.cpu_request_millis >= 1000
    assert faults(record) - {"sidecars", "init_containers"} == {"cpu_request_millis"}


@pytest.mark.parametrize(
    ("item", "field"),
    [
        (pod(nodeName=5), "node"),
        (pod(status={"phase": ["Failed"]}), "phase"),
        (pod(status={"containerStatuses": 1}), "container_ids"),
        (pod(status={"containerStatuses": [None]}), "container_ids"),
        (pod(status={"containerStatuses": [{"containerID": "containerd://a"}]}), "container_ids"),
        (pod(status={"containerStatuses": [{"name": "c", "containerID": 5}]}), "container_ids"),
        (pod(status={"initContainerStatuses": {}}), "container_ids"),
        (pod(ephemeralContainers=7), "ephemeral_containers"),
        (pod(metadata={"labels": []}), "labels"),
        (pod(metadata={"labels": {"a": 1}}), "labels"),
        (pod(metadata={"annotations": {"a": None}}), "annotations"),
        (pod(schedulerName={}), "scheduler"),
    ],
)
def test_each_field_that_cannot_be_read_is_named(item: dict[str, Any], field: str) -> None:
    record = pod_record(item)

    assert faults(record) - {"cpu_request_millis", "states"} == {field}
    assert (record.key, record.ended) == ("u1", False)


@pytest.mark.parametrize("containers", [None, {}, "c", [None], [{}], [{"name": 5}], [{"name": ""}]])
def test_containers_without_names_are_no_containers(containers: object) -> None:
    record = pod_record(pod(containers=containers))

    assert record.containers == ()
    assert "containers" in faults(record)


@pytest.mark.parametrize("key", ["spec", "status"])
@pytest.mark.parametrize("part", [5, "x", [], True])
def test_a_pod_with_a_part_of_another_shape_is_there_and_has_not_ended(
    key: str, part: object
) -> None:
    record = pod_record({**pod(), key: part})

    assert record.faults
    assert (record.uid, record.ended) == ("u1", False)


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"metadata": None},
        {"metadata": []},
        {"metadata": NAMES | {"uid": 5}},
        {"metadata": NAMES | {"name": ""}},
        {"metadata": NAMES | {"namespace": None}},
        {"metadata": NAMES | {"name": "half \ud800"}},
    ],
)
def test_only_an_object_without_its_names_has_no_record(item: dict[str, Any]) -> None:
    with pytest.raises(NamelessError):
        pod_record(item)


def test_a_text_with_half_a_surrogate_pair_is_a_text() -> None:
    record = pod_record(pod(metadata={"annotations": {"a": "\ud800"}}))

    assert record.annotations == {"a": "\ud800"}


def test_the_text_of_a_fault_is_short_whatever_was_found() -> None:
    found = [requesting("x" * 1_000_000), requesting(ENDLESS), requesting(["x"] * 1_000_000)]

    assert max(len(pod_record(item).faults[0].text) for item in found) < 200


def test_a_value_that_is_no_string_is_an_empty_one_which_no_key_allows() -> None:
    record = node_record({"metadata": {"name": "n", "annotations": {"a": 5, "b": "ok"}}})

    assert record.annotations == {"a": "", "b": "ok"}
    assert record.faults[0].field == "annotations"


def lease(**spec: object) -> dict[str, Any]:
    return {"metadata": {"name": "malacoda-edge-1"}, "spec": spec}


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-02T03:04:05.678901Z",
        "2026-01-02T03:04:05.678901999Z",
        "2026-01-02t03:04:05.678901z",
        "2026-01-02T05:04:05.678901+02:00",
        "2026-01-01T19:04:05.678901-08:00",
    ],
)
def test_reads_the_forms_of_rfc_3339(text: str) -> None:
    record = lease_record(lease(renewTime=text))

    assert record.renewed == datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    assert not record.faults


@pytest.mark.parametrize(
    "found",
    ["2026-01-02T03:04:05", "2026-01-02", "yesterday", 5, [], "2026-13-01T00:00:00Z", "x" * 10**6],
    ids=kind,
)
def test_a_renewal_that_is_no_moment_is_none(found: object) -> None:
    record = lease_record(lease(renewTime=found))

    assert record.renewed is None
    assert record.faults[0].field == "renewed"


@pytest.mark.parametrize(
    "found", [-1, 1 << 31, ENDLESS, "30", 1.5, float("inf"), True, [], {}], ids=kind
)
def test_a_duration_that_is_none_is_zero(found: object) -> None:
    record = lease_record(lease(leaseDurationSeconds=found))

    assert record.duration == 0
    assert record.faults[0].field == "duration"


def test_the_longest_duration_of_a_lease_is_read() -> None:
    assert lease_record(lease(leaseDurationSeconds=2**31 - 1)).duration == (2**31 - 1) * NS_PER_S


def test_a_pod_that_became_unreadable_keeps_what_was_known_of_it() -> None:
    former = pod_record(
        pod(
            metadata={"labels": {"a": "b"}},
            status={
                "phase": "Running",
                "containerStatuses": [{"name": "c", "containerID": "containerd://abc"}],
            },
        )
    )
    odd = pod_record(
        pod(
            metadata={"labels": 5},
            nodeName=5,
            containers=[{"name": "c", "resources": {"requests": {"cpu": "much"}}}],
            status={"phase": "Running", "containerStatuses": 7},
        )
    )

    now = odd.following(former)

    assert (now.node, now.labels, now.container_ids) == ("edge-1", {"a": "b"}, {"c": "abc"})
    assert now.cpu_request_millis == 1000
    assert odd.following(None) is odd
    assert former.following(odd) is former


@pytest.mark.parametrize(
    "state",
    [
        5,
        {"running": 1},
        {"terminated": "yes"},
        {"terminated": {"exitCode": [], "reason": {}}},
        {"waiting": ["x"]},
        {"waiting": {"reason": {"of": "none"}}},
    ],
    ids=str,
)
def test_a_container_state_of_any_shape_hinders_nothing(state: object) -> None:
    status = {"containerStatuses": [{"name": "c", "state": state, "lastState": {"terminated": 3}}]}

    record = pod_record(pod(status=status))

    assert faults(record) <= {"states"}
    assert set(record.states) == {"c"}


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_is_out_of_range_in_utc_is_none(time: str) -> None:
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": time}
    lease = lease_record({"metadata": NAMES, "spec": {"renewTime": time}})
    created = managed_pod_record(pod(metadata={"creationTimestamp": time}))

    assert read_conditions([condition])["Ready"].since is None
    assert (lease.renewed, created.created) == (None, None)
