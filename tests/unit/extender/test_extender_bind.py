"""Binding is a transaction: idempotent by UID, undone in reverse when it certainly failed."""

import pytest

from k40s.allocation import parse_allocation
from k40s.annotations import ALLOCATION_KEY, TASKS_KEY
from k40s.errors import UnavailableError
from k40s.reasons import Reason
from k40s.runtime.kube_transport import ConflictError, NotFoundError
from tests.fakes.extender_world import (
    World,
    make_cpu_state,
    make_node,
    make_pod,
    make_pod_record,
    make_task,
)

ENDPOINT = "https://10.88.1.5:8441"
REAL_TIME = make_pod("rt", criticality="HI", tasks=[make_task()])
RESERVE, BIND, RELEASE = (
    f"reserve uid-rt at {ENDPOINT}",
    "bind uid-rt to a",
    f"release uid-rt at {ENDPOINT}",
)


@pytest.fixture
def world() -> World:
    world = World()
    world.add(make_node("a", level=20, cpu=make_cpu_state()))
    world.filter(REAL_TIME, ["a"])
    return world


def test_a_pod_without_tasks_is_just_bound(world: World) -> None:
    pod = make_pod("plain", criticality="LOW")
    world.filter(pod, ["a"])

    assert world.bind(pod, "a") == ""
    assert world.journal == ["bind uid-plain to a"]
    assert world.pods.bound["uid-plain"] == ("a", {})


def test_a_real_time_pod_carries_its_allocation(world: World) -> None:
    assert world.bind(REAL_TIME, "a") == ""

    assert world.journal == [RESERVE, BIND]
    node, annotations = world.pods.bound["uid-rt"]
    granted = parse_allocation(annotations[ALLOCATION_KEY], pod_uid="uid-rt")
    assert node == "a"
    assert granted == tuple(r for r in world.cpu.node.reservations if r.pod_uid == "uid-rt")


def test_a_repeat_changes_nothing(world: World) -> None:
    world.bind(REAL_TIME, "a")
    book, bound = world.cpu.node, dict(world.pods.bound)
    world.pods.by_name["default", "rt"] = make_pod_record(
        "uid-rt",
        name="rt",
        annotations=REAL_TIME["metadata"]["annotations"],  # type: ignore[index]
    )

    errors = [world.bind(REAL_TIME, "a") for _ in range(3)]

    assert errors == ["", "", ""]
    assert world.cpu.node == book
    assert world.pods.bound == bound


def test_a_refused_reservation_creates_no_binding(world: World) -> None:
    world.cpu.reserve_reason = Reason.CPU_NO_BANDWIDTH

    error = world.bind(REAL_TIME, "a")

    assert error == f"cpu.no-bandwidth: {Reason.CPU_NO_BANDWIDTH.text}"
    assert world.journal == [RESERVE]


@pytest.mark.parametrize("reason", [Reason.POD_UNKNOWN, Reason.CPU_TEST_FAILED])
def test_what_a_node_says_of_one_pod_or_moment_is_not_held_against_others(
    world: World, reason: Reason
) -> None:
    world.cpu.reserve_reason = reason
    twin = make_pod("twin", criticality="HI", tasks=[make_task()])

    world.bind(REAL_TIME, "a")

    assert world.filter(twin, ["a"])["NodeNames"] == ["a"]


def test_what_a_node_says_of_its_cores_is_believed_for_all_pods(world: World) -> None:
    world.cpu.reserve_reason = Reason.CPU_NODE_BANDWIDTH
    twin = make_pod("twin", criticality="HI", tasks=[make_task()])

    world.bind(REAL_TIME, "a")

    assert world.filter(twin, ["a"])["NodeNames"] == []


def test_a_daemon_that_does_not_answer_creates_no_binding(world: World) -> None:
    world.cpu.reserve_fault = UnavailableError("timeout")

    error = world.bind(REAL_TIME, "a")

    assert error.startswith("cpu.daemon-silent")
    assert world.journal == [RESERVE]


@pytest.mark.parametrize(
    ("fault", "code"),
    [(ConflictError("409"), "pod.bound-elsewhere"), (NotFoundError("404"), "pod.unknown")],
)
def test_a_binding_that_certainly_failed_gives_the_reservation_back(
    world: World, fault: Exception, code: str
) -> None:
    world.pods.fault = fault

    error = world.bind(REAL_TIME, "a")

    assert error.startswith(code)
    assert world.journal == [RESERVE, BIND, RELEASE]
    assert world.cpu.node.reservations == ()


def test_a_binding_that_may_have_happened_keeps_the_reservation(world: World) -> None:
    world.pods.fault = UnavailableError("timeout")

    error = world.bind(REAL_TIME, "a")

    assert error == "the API server does not answer"
    assert world.journal == [RESERVE, BIND]
    assert world.cpu.node.reservations != ()


def test_a_release_that_fails_is_left_to_the_lease(world: World) -> None:
    world.pods.fault = ConflictError("409")
    world.cpu.release_fault = UnavailableError("timeout")

    error = world.bind(REAL_TIME, "a")

    assert error.startswith("pod.bound-elsewhere")
    assert world.journal == [RESERVE, BIND, RELEASE]


def test_a_retry_after_a_lost_answer_binds(world: World) -> None:
    world.pods.fault = UnavailableError("timeout")
    world.bind(REAL_TIME, "a")
    world.pods.fault = None
    book = world.cpu.node

    assert world.bind(REAL_TIME, "a") == ""
    assert world.cpu.node == book


def test_a_pod_that_filter_never_saw_is_read(world: World) -> None:
    pod = make_pod("late", criticality="HI", tasks=[make_task()])
    world.pods.by_name["default", "late"] = make_pod_record(
        "uid-late",
        name="late",
        annotations=pod["metadata"]["annotations"],  # type: ignore[index]
    )

    assert world.bind(pod, "a") == ""
    assert world.journal[0] == "get default/late"
    assert ALLOCATION_KEY in world.pods.bound["uid-late"][1]


@pytest.mark.parametrize("uid", [None, "another"])
def test_a_pod_that_is_gone_or_another_is_unknown(world: World, uid: str | None) -> None:
    if uid is not None:
        world.pods.by_name["default", "late"] = make_pod_record(uid, name="late")

    assert world.bind(make_pod("late"), "a").startswith("pod.unknown")
    assert world.journal == ["get default/late"]


def test_an_unreadable_pod_is_a_fault(world: World) -> None:
    world.pods.get_fault = UnavailableError("timeout")

    assert world.bind(make_pod("late"), "a") == "the API server does not answer"


def test_an_invalid_pod_is_not_bound(world: World) -> None:
    pod = make_pod("bad", criticality="HI", tasks="?")
    world.filter(pod, ["a"])

    error = world.bind(pod, "a")

    assert error.startswith("pod.invalid-annotation")
    assert TASKS_KEY in error
    assert world.journal == []


@pytest.mark.parametrize(
    ("node", "code"), [("nowhere", "node.unknown"), ("general", "cpu.no-real-time")]
)
def test_a_real_time_pod_is_not_bound_where_nobody_can_reserve(
    world: World, node: str, code: str
) -> None:
    world.add(make_node("general", level=20))

    assert world.bind(REAL_TIME, node).startswith(code)
    assert world.journal == []


def test_a_bad_body_is_an_error_and_nothing_else(world: World) -> None:
    assert b"$.PodUID" in world.verbs.bind(b"{}")
    assert world.journal == []


def test_outcomes_are_counted(world: World) -> None:
    world.bind(REAL_TIME, "a")
    world.bind(make_pod("gone"), "a")
    world.pods.get_fault = UnavailableError("timeout")
    world.bind(make_pod("other"), "a")

    counted = {
        outcome: world.registry.get_sample_value("k40s_extender_binds_total", {"outcome": outcome})
        for outcome in ("bound", "refused", "fault")
    }
    assert counted == {"bound": 1, "refused": 1, "fault": 1}
