import pytest

from k40s.kube.objects.read import parse_cpu_millis, pod_record
from k40s.kube.records import ContainerState, PodRecord


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
        ("5E-1", 500),
        ("1E", 10**21),
        ("+1", 1000),
        ("-1", -1000),
        ("128Mi", 128 * 1024**2 * 1000),
        ("1Ki", 1024_000),
        ("10Gi", 10 * 1024**3 * 1000),
    ],
)
def test_reads_cpu_quantities(quantity: str, millis: int) -> None:
    assert parse_cpu_millis(quantity) == millis


@pytest.mark.parametrize("quantity", ["", "m", ".", "1 ", "--1", "1gi", "1K", "1x", "1e", "NaN"])
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


@pytest.mark.parametrize(
    ("present", "read"),
    [
        ({"status": "True", "reason": "Enforced", "message": "m"}, (True, "Enforced", "m")),
        ({"status": "False"}, (False, "", "")),
        ({"status": "Unknown", "reason": None}, (False, "", "")),
    ],
)
def test_reads_whether_a_pod_is_enforced(
    present: dict[str, str], read: tuple[bool, str, str]
) -> None:
    item = {
        "metadata": {"uid": "u1", "namespace": "default", "name": "p"},
        "spec": {"containers": [container("x")]},
        "status": {
            "conditions": [
                {"type": "Ready", "status": "True"},
                {"type": "k40s.io/enforced", **present},
            ]
        },
    }

    enforced = pod_record(item).enforced

    assert enforced is not None
    assert (enforced.status, enforced.reason, enforced.message) == read


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


def pod_with(**parts: object) -> PodRecord:
    return pod_record(
        {
            "metadata": {"uid": "u1", "namespace": "default", "name": "p"},
            "spec": {"containers": [container("x")]},
            **parts,
        }
    )


def test_tells_sidecars_from_init_containers_that_end_before_the_others() -> None:
    initial = [
        container("setup"),
        container("log", restartPolicy="Always"),
        container("odd", restartPolicy="Never"),
    ]
    debug = [container("debugger")]

    record = pod_with(
        spec={
            "containers": [container("x")],
            "initContainers": initial,
            "ephemeralContainers": debug,
        }
    )

    assert (record.containers, record.sidecars) == (("x",), ("log",))
    assert record.init_containers == ("setup", "odd")
    assert record.task_containers == ("x", "log")
    assert record.all_containers == ("x", "log", "setup", "odd", "debugger")


def test_knows_the_ids_of_containers_of_every_kind() -> None:
    record = pod_with(
        status={
            "containerStatuses": [{"name": "x", "containerID": "cri-o://a"}],
            "initContainerStatuses": [{"name": "log", "containerID": "cri-o://b"}],
            "ephemeralContainerStatuses": [{"name": "debugger", "containerID": "cri-o://c"}],
        }
    )

    assert record.container_ids == {"x": "a", "log": "b", "debugger": "c"}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"state": {"running": {}}}, ContainerState(running=True)),
        (
            {"state": {"waiting": {"reason": "ContainerCreating"}}},
            ContainerState(running=False, text="ContainerCreating"),
        ),
        (
            {"state": {"waiting": {"reason": "ImagePullBackOff"}}},
            ContainerState(running=False, failing=True, text="ImagePullBackOff"),
        ),
        (
            {
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"reason": "Error", "exitCode": 3}},
            },
            ContainerState(
                running=False,
                failing=True,
                text="CrashLoopBackOff, Error with exit code 3 before",
            ),
        ),
        (
            {"state": {"terminated": {"reason": "Completed", "exitCode": 0}}},
            ContainerState(running=False, text="Completed with exit code 0"),
        ),
        (
            {"state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}},
            ContainerState(running=False, failing=True, text="OOMKilled with exit code 137"),
        ),
        ({"state": {"waiting": None}}, ContainerState(running=False, text="waiting")),
    ],
)
def test_tells_what_a_container_does_instead_of_running(
    status: dict[str, object], expected: ContainerState
) -> None:
    record = pod_with(status={"containerStatuses": [{"name": "x", **status}]})

    assert record.states == {"x": expected}
