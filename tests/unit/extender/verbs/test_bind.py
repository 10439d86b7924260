"""Binding is a transaction: idempotent by UID, undone in reverse when it certainly failed."""

import pytest

from k40s.annotations import ALLOCATION_KEY, TASKS_KEY
from k40s.errors import UnavailableError
from k40s.kube.transport import ConflictError, NotFoundError, RefusedError
from k40s.node_api.allocation import parse_allocation
from k40s.node_api.client import DaemonError
from k40s.reasons import Reason
from tests.fakes.extender.world import (
    World,
    make_cpu_state,
    make_node,
    make_pod,
    make_pod_record,
    make_task,
)

ENDPOINT = "https://10.88.1.5:8441"
REAL_TIME = make_pod("rt", criticality="HI", tasks=[make_task()])
GET, RESERVE, BIND, WITHDRAW = (
    "get default/rt",
    f"reserve uid-rt at {ENDPOINT}",
    "bind uid-rt to a",
    f"withdraw uid-rt at {ENDPOINT}",
)
SILENT = "api.silent: the API server does not answer"


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


@pytest.mark.parametrize("reason", [Reason.CPU_DAEMON_SILENT, Reason.CPU_STORE_FAILED])
def test_a_daemon_that_certainly_reserved_nothing_creates_no_binding(
    world: World, reason: Reason
) -> None:
    world.cpu.reserve_fault = DaemonError("refused", reason=reason, certain=True)

    error = world.bind(REAL_TIME, "a")

    assert error == f"{reason.value}: {reason.text}"
    assert world.journal == [RESERVE]


def test_a_reservation_whose_answer_was_lost_is_withdrawn(world: World) -> None:
    world.cpu.loses_answers = True

    error = world.bind(REAL_TIME, "a")

    assert error == f"cpu.daemon-busy: {Reason.CPU_DAEMON_BUSY.text}"
    assert world.journal == [RESERVE, WITHDRAW]
    assert world.cpu.node.reservations == ()


@pytest.mark.parametrize(
    ("fault", "code", "looked"),
    [
        (ConflictError("409"), "pod.unknown", [GET]),
        (NotFoundError("404"), "pod.unknown", []),
        (RefusedError("403"), "api.refused", []),
    ],
)
def test_a_binding_that_certainly_failed_gives_the_reservation_back(
    world: World, fault: Exception, code: str, looked: list[str]
) -> None:
    world.pods.fault = fault

    error = world.bind(REAL_TIME, "a")

    assert error.startswith(code)
    assert world.journal == [RESERVE, BIND, *looked, WITHDRAW]
    assert world.cpu.node.reservations == ()


def test_a_binding_that_may_have_happened_keeps_the_reservation(world: World) -> None:
    world.pods.fault = UnavailableError("timeout")

    error = world.bind(REAL_TIME, "a")

    assert error == SILENT
    assert world.journal == [RESERVE, BIND]
    assert world.cpu.node.reservations != ()


def test_a_release_that_fails_is_left_to_the_lease(world: World) -> None:
    world.pods.fault = NotFoundError("404")
    world.cpu.release_fault = DaemonError("timeout", reason=Reason.CPU_DAEMON_BUSY)

    error = world.bind(REAL_TIME, "a")

    assert error.startswith("pod.unknown")
    assert world.journal == [RESERVE, BIND, WITHDRAW]


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

    assert world.bind(make_pod("late"), "a") == SILENT


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
    assert reasons_of(world) == {"pod.unknown": 1, "api.silent": 1}


def reasons_of(world: World) -> dict[str, float]:
    name = "k40s_extender_bind_refusals_total"
    found = {r.value: world.registry.get_sample_value(name, {"reason": r}) for r in Reason}
    return {reason: count for reason, count in found.items() if count}
