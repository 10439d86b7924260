"""What is admitted, what is granted and what the pod says are one, or the bind fails."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from k40s.annotations import (
    ALLOCATION_KEY,
    CRITICALITY_KEY,
    ENFORCEMENT_KEY,
    TASKS_KEY,
    read_workload,
)
from k40s.errors import UnavailableError
from k40s.kube.records import PodRecord
from k40s.kube.transport import ConflictError, NotFoundError, RefusedError
from k40s.node_api.allocation import parse_allocation
from k40s.node_api.messages import PodRef, ReservationRequest
from k40s.reasons import Reason
from tests.fakes.extender.world import (
    World,
    make_cpu_node,
    make_cpu_state,
    make_node,
    make_pod,
    make_task,
    record_of,
)

ENDPOINT = "https://10.88.1.5:8441"
TASKS = [make_task("1ms")]
POD = make_pod("rt", criticality="LOW", tasks=TASKS)
GET, RESERVE, BIND, WITHDRAW = (
    "get default/rt",
    f"reserve uid-rt at {ENDPOINT}",
    "bind uid-rt to a",
    f"withdraw uid-rt at {ENDPOINT}",
)
CHANGED = f"pod.changed: {Reason.POD_CHANGED.text}"

Patch = Callable[[PodRecord], PodRecord]


@pytest.fixture
def world() -> World:
    return world_with(POD)


def world_with(pod: dict[str, object], level: int = 20) -> World:
    """A pod that filter has seen, and a node that takes it."""
    world = World()
    world.add(make_node("a", level=level, cpu=make_cpu_state()))
    world.add(make_node("general", level=20))
    world.pods.by_name["default", "rt"] = record_of(pod)
    world.watched_pods.upsert(record_of(pod))
    world.filter(pod, ["a"])
    return world


def annotate(**texts: str | None) -> Patch:
    """Set annotations, and remove those that are None; a new version of the pod."""
    names = {"criticality": CRITICALITY_KEY, "tasks": TASKS_KEY, "enforcement": ENFORCEMENT_KEY}

    def patch(record: PodRecord) -> PodRecord:
        merged = {**record.annotations, **{names[name]: text for name, text in texts.items()}}
        kept = {key: text for key, text in merged.items() if text is not None}
        return newer(record, annotations=kept)

    return patch


def label(text: str) -> Patch:
    return lambda record: newer(record, labels={CRITICALITY_KEY: text})


def newer(record: PodRecord, **changes: object) -> PodRecord:
    version = str(int(record.resource_version) + 1)
    return replace(record, resource_version=version, **changes)  # type: ignore[arg-type]


def meanwhile(world: World, patch: Patch, times: int = 1) -> Callable[..., None]:
    """The pod is patched as often as that."""
    left = [patch] * times

    def happen(_uid: str = "") -> None:
        if left:
            record = world.pods.by_name["default", "rt"]
            world.pods.by_name["default", "rt"] = left.pop()(record)

    return happen


OTHER_TASKS = make_pod(criticality="LOW", tasks=[make_task("9ms")])["metadata"]["annotations"][  # type: ignore[index]
    TASKS_KEY
]
CHANGES = {
    "wcet raised": annotate(tasks=OTHER_TASKS),
    "tasks removed": annotate(tasks=None),
    "criticality raised": annotate(criticality="HI"),
    "everything removed": annotate(tasks=None, criticality=None),
    "enforcement asked for": annotate(enforcement="deadline"),
    "a contradicting label": label("HI"),
    "tasks spoilt": annotate(tasks="?"),
}


@pytest.mark.parametrize("patch", CHANGES.values(), ids=CHANGES)
def test_a_pod_that_changes_after_its_reservation_is_not_bound_and_holds_nothing(
    world: World, patch: Patch
) -> None:
    world.cpu.on_reserved = meanwhile(world, patch)

    error = world.bind(POD, "a")

    assert error == CHANGED
    assert world.pods.bound == {}
    assert world.cpu.node.reservations == ()
    assert world.journal == [RESERVE, BIND, GET, WITHDRAW]


@pytest.mark.parametrize(
    "added", [{"tasks": OTHER_TASKS, "criticality": "HI"}, {"criticality": "HI"}]
)
def test_a_pod_without_demands_that_gets_some_is_not_bound_without_a_check(
    added: dict[str, str],
) -> None:
    plain = make_pod("rt")
    world = world_with(plain, level=10)
    world.pods.on_bind = meanwhile(world, annotate(**added))

    error = world.bind(plain, "a")

    assert error == CHANGED
    assert world.pods.bound == {}


def test_the_next_bind_grants_what_the_pod_says_now(world: World) -> None:
    world.cpu.on_reserved = meanwhile(world, annotate(tasks=OTHER_TASKS))
    world.bind(POD, "a")
    now = make_pod("rt", criticality="LOW", tasks=[make_task("9ms")], resource_version="2")
    world.filter(now, ["a"])

    error = world.bind(now, "a")

    assert error == ""
    granted = parse_allocation(world.pods.bound["uid-rt"][1][ALLOCATION_KEY], pod_uid="uid-rt")
    assert [task.wcet for held in granted for task in held.tasks] == [9_000_000]


def test_a_change_of_status_alone_costs_one_look_and_no_bind(world: World) -> None:
    world.cpu.on_reserved = meanwhile(world, newer)

    error = world.bind(POD, "a")

    assert error == ""
    assert world.journal == [RESERVE, BIND, GET, BIND]
    assert world.pods.versions == ["1", "2"]
    assert ALLOCATION_KEY in world.pods.bound["uid-rt"][1]


def test_a_pod_that_never_stops_changing_is_not_tried_for_ever(world: World) -> None:
    world.pods.on_bind = meanwhile(world, newer, times=1000)

    error = world.bind(POD, "a")

    assert error == CHANGED
    assert world.journal.count(BIND) < 20
    assert world.journal[-1] == WITHDRAW


def test_in_the_common_case_nobody_is_asked_for_the_pod(world: World) -> None:
    world.bind(POD, "a")

    assert world.journal == [RESERVE, BIND]


def test_what_filter_saw_is_enough_before_the_watch_has_told() -> None:
    world = World()
    world.add(make_node("a", level=20, cpu=make_cpu_state()))
    world.pods.by_name["default", "rt"] = record_of(POD)
    world.filter(POD, ["a"])

    assert world.bind(POD, "a") == ""
    assert world.journal == [RESERVE, BIND]


def test_where_filter_and_watch_differ_the_api_server_decides(world: World) -> None:
    now = newer(annotate(tasks=OTHER_TASKS)(record_of(POD)))
    world.pods.by_name["default", "rt"] = now
    world.watched_pods.upsert(now)

    error = world.bind(POD, "a")

    assert error == ""
    assert world.journal == [GET, RESERVE, BIND]
    assert "9ms" in world.pods.bound["uid-rt"][1][ALLOCATION_KEY]


def test_an_old_watch_is_no_harm(world: World) -> None:
    world.pods.by_name["default", "rt"] = newer(record_of(POD))

    assert world.bind(POD, "a") == ""
    assert world.journal == [RESERVE, BIND, GET, BIND]


@pytest.mark.parametrize(
    ("criticality", "level", "error"),
    [("HI", 13, "assurance.too-low"), ("LOW", 6, "assurance.hazard"), ("NO", 0, "")],
)
def test_the_nodes_assurance_is_looked_at_again(criticality: str, level: int, error: str) -> None:
    pod = make_pod("rt", criticality=criticality)
    world = world_with(pod)
    world.add(make_node("a", level=level, cpu=make_cpu_state()))

    assert world.bind(pod, "a").partition(":")[0] == error


def test_a_pod_of_no_criticality_is_bound_to_a_node_that_is_not_known() -> None:
    plain = make_pod("rt")

    assert world_with(plain).bind(plain, "nowhere") == ""


def test_a_node_that_is_real_time_no_more_is_not_reserved_on(world: World) -> None:
    world.add(make_node("a", level=20, cpu=make_cpu_state(), real_time=False))

    assert world.bind(POD, "a").startswith("cpu.no-real-time")
    assert world.journal == []


def test_a_node_whose_platform_was_changed_is_not_reserved_on(world: World) -> None:
    world.add(make_node("a", level=20, cpu=make_cpu_state(), platform="other"))

    assert world.bind(POD, "a").startswith("cpu.platform-changed")
    assert world.journal == []


@pytest.mark.parametrize("gone", ["deleted", "deleting", "ended", "made again"])
def test_a_pod_that_goes_meanwhile_leaves_no_reservation(world: World, gone: str) -> None:
    record = record_of(POD)
    after = {
        "deleted": None,
        "deleting": newer(record, deleting=True),
        "ended": newer(record, phase="Failed"),
        "made again": newer(record, uid="uid-of-another"),
    }[gone]

    def go(_uid: str) -> None:
        del world.pods.by_name["default", "rt"]
        if after is not None:
            world.pods.by_name["default", "rt"] = after
        world.pods.fault = None if after is not None else NotFoundError("404")

    world.cpu.on_reserved = go

    assert world.bind(POD, "a").startswith("pod.unknown")
    assert world.cpu.node.reservations == ()
    assert world.pods.bound == {}


def test_a_pod_that_another_scheduler_bound_meanwhile_keeps_no_reservation_elsewhere(
    world: World,
) -> None:
    world.cpu.on_reserved = meanwhile(world, lambda record: newer(record, node="b"))

    assert world.bind(POD, "a").startswith("pod.bound-elsewhere")
    assert world.cpu.node.reservations == ()


def test_a_pod_that_was_bound_here_without_a_grant_is_not_said_to_be_bound_by_us(
    world: World,
) -> None:
    world.cpu.on_reserved = meanwhile(world, lambda record: newer(record, node="a"))

    assert world.bind(POD, "a").startswith("pod.bound-elsewhere")


def test_the_second_of_two_binds_at_once_finds_the_pod_bound(world: World) -> None:
    answers: list[str] = []

    def bind_again(_uid: str) -> None:
        world.cpu.on_reserved = lambda _uid: None
        answers.append(world.bind(POD, "a"))

    world.cpu.on_reserved = bind_again

    answers.append(world.bind(POD, "a"))

    assert answers == ["", ""]
    assert len(world.cpu.node.reservations) == 1
    assert not any(line.startswith("withdraw") for line in world.journal)


def test_a_bind_that_fails_takes_nothing_from_another_that_waits(world: World) -> None:
    """Two replicas: the second reserved as well and loses its Binding for good."""
    outer = world.bind

    def refuse_the_other(_uid: str) -> None:
        world.cpu.on_reserved = lambda _uid: None
        world.pods.fault = RefusedError("403")
        assert outer(POD, "a").startswith("api.refused")
        world.pods.fault = None

    world.cpu.on_reserved = refuse_the_other

    assert world.bind(POD, "a") == ""
    assert len(world.cpu.node.reservations) == 1


def test_a_bound_pod_is_bound_whatever_is_asked_again(world: World) -> None:
    world.bind(POD, "a")
    world.watched_pods.upsert(world.pods.by_name["default", "rt"])
    world.journal.clear()

    assert world.bind(POD, "a") == ""
    assert world.bind(POD, "general").startswith("pod.bound-elsewhere")
    assert world.journal == []


def test_a_conflict_that_the_pod_does_not_explain_is_a_refusal_of_the_api_server(
    world: World,
) -> None:
    """As for a pod with scheduling gates: nothing about it changes, however often it is tried."""
    world.pods.fault = ConflictError("409 non-empty schedulingGates")

    assert world.bind(POD, "a").startswith("api.refused")
    assert world.journal == [RESERVE, BIND, GET, WITHDRAW]


def test_a_conflict_that_cannot_be_looked_into_gives_back_what_was_reserved(world: World) -> None:
    world.cpu.on_reserved = meanwhile(world, newer)
    world.pods.get_fault = UnavailableError("timeout")

    assert world.bind(POD, "a").startswith("api.silent")
    assert world.cpu.node.reservations == ()


def test_a_node_of_another_platform_refuses_by_its_own_reason() -> None:
    node = make_cpu_node()
    world = World(node=node)
    world.add(make_node("a", level=20, cpu=make_cpu_state(node), platform="other"))

    answer = world.filter(POD, ["a"])

    assert answer["FailedAndUnresolvableNodes"] == {
        "a": f"cpu.platform-changed: {Reason.CPU_PLATFORM_CHANGED.text}"
    }


def test_a_node_that_grants_something_else_is_not_believed(world: World) -> None:
    """Whatever the daemon does: what the pod asks for and what it is granted are one."""
    other = World()
    other.cpu.reserve("", REQUEST, attempt="a")
    world.cpu.granted = other.cpu.node.reservations

    error = world.bind(POD, "a")

    assert error == f"cpu.grant-differs: {Reason.CPU_GRANT_DIFFERS.text}"
    assert world.pods.bound == {}
    assert world.journal == [RESERVE, WITHDRAW]


REQUEST = ReservationRequest(
    pod=PodRef(uid="uid-rt", namespace="default", name="rt"),
    workload=read_workload(
        labels={},
        annotations={CRITICALITY_KEY: "LOW", TASKS_KEY: OTHER_TASKS},
        containers=("main",),
    ),
)
