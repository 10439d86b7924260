import pytest

from k40s.runtime.kube_objects import parse_cpu_millis, pod_record
from k40s.runtime.records import PodRecord


@pytest.mark.parametrize(
    ("quantity", "millis"),
    [
        ("2", 2000),
        ("250m", 250),
        ("1.5", 1500),
        (".5", 500),
        ("1.", 1000),
        ("100u", 1),
        ("1n", 1),
        ("0", 0),
        ("2k", 2_000_000),
        ("1e3", 1_000_000),
        ("5e-1", 500),
    ],
)
def test_reads_cpu_quantities(quantity: str, millis: int) -> None:
    assert parse_cpu_millis(quantity) == millis


@pytest.mark.parametrize("quantity", ["", "m", "1 ", "-1", "1Gi", "1x", "1e", "NaN"])
def test_refuses_what_is_no_quantity(quantity: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        parse_cpu_millis(quantity)


def container(name: str, cpu: str | None = None, **more: object) -> dict[str, object]:
    resources = {} if cpu is None else {"resources": {"requests": {"cpu": cpu}}}
    return {"name": name} | resources | more


def test_reads_a_running_pod() -> None:
    item = {
        "metadata": {
            "uid": "u1",
            "namespace": "default",
            "name": "p",
            "labels": {"l": "1"},
            "annotations": {"a": "2"},
            "deletionTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "nodeName": "edge-1",
            "schedulerName": "k40s-scheduler",
            "containers": [container("x", "250m"), container("y", "1")],
        },
        "status": {
            "phase": "Running",
            "containerStatuses": [
                {"name": "x", "containerID": "containerd://abc"},
                {"name": "y", "containerID": ""},
            ],
        },
    }

    record = pod_record(item)

    assert record == PodRecord(
        uid="u1",
        namespace="default",
        name="p",
        node="edge-1",
        phase="Running",
        labels={"l": "1"},
        annotations={"a": "2"},
        containers=("x", "y"),
        container_ids={"x": "abc"},
        deleting=True,
        cpu_request_millis=1250,
        scheduler="k40s-scheduler",
    )
    assert record.key == "u1"
    assert not record.ended


def test_reads_a_pod_that_has_just_been_created() -> None:
    item = {
        "metadata": {"uid": "u1", "namespace": "default", "name": "p", "labels": None},
        "spec": {"containers": [container("x")]},
    }

    record = pod_record(item)

    assert (record.node, record.phase, record.labels, record.deleting) == ("", "", {}, False)
    assert record.cpu_request_millis == 0


@pytest.mark.parametrize(
    ("initial", "millis"),
    [
        ([container("i", "2")], 2000),
        ([container("i", "500m")], 1000),
        ([container("sidecar", "500m", restartPolicy="Always")], 1500),
    ],
)
def test_counts_init_containers_as_the_scheduler_does(initial: list[object], millis: int) -> None:
    item = {
        "metadata": {"uid": "u1", "namespace": "default", "name": "p"},
        "spec": {"containers": [container("x", "1")], "initContainers": initial},
    }

    assert pod_record(item).cpu_request_millis == millis


@pytest.mark.parametrize(("phase", "ended"), [("Succeeded", True), ("Failed", True), ("", False)])
def test_knows_when_a_pod_has_ended(phase: str, ended: bool) -> None:  # a figure
    item = {
        "metadata": {"uid": "u1", "namespace": "default", "name": "p"},
        "spec": {"containers": []},
        "status": {"phase": phase},
    }

    assert pod_record(item).ended is ended
