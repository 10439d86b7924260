import json
from dataclasses import replace
from fractions import Fraction

import pytest

from k40s.annotations import parse_tasks
from k40s.cpu.model import ANY_CORE, Mechanism, Reservation, Server, Task
from k40s.cpu.workload import Workload
from k40s.criticality import Criticality
from k40s.errors import InvalidAnnotationError, InvalidInputError
from k40s.node_api.messages import (
    AdmissionAnswer,
    PodRef,
    ReservationRequest,
    format_admission_answer,
    format_allocation,
    format_reservation_request,
    parse_admission_answer,
    parse_allocation,
    parse_reservation_request,
)
from k40s.reasons import Reason
from k40s.units import NS_PER_MS, Nanoseconds

MS = NS_PER_MS
POD = PodRef(uid="5b0e-1", namespace="plant", name="arm")
TASKS = [{"name": "a", "container": "app", "period": "100ms", "wcet": {"edge": "20ms"}}]


def request(generation: int | None = 12) -> ReservationRequest:
    tasks = parse_tasks(TASKS, source="x", criticality=Criticality.HI)
    workload = Workload(criticality=Criticality.HI, tasks=tasks)
    return ReservationRequest(pod=POD, workload=workload, generation=generation)


def held(pod_uid: str = "5b0e-1", priority: int | None = None) -> Reservation:
    task = Task(
        name="a",
        wcet=Nanoseconds(20 * MS),
        period=Nanoseconds(100 * MS),
        deadline=Nanoseconds(100 * MS),
        priority=priority,
    )
    return Reservation(
        pod_uid=pod_uid,
        container="app",
        core=1,
        criticality=Criticality.HI,
        server=Server(budget=Nanoseconds(24 * MS), period=Nanoseconds(100 * MS)),
        tasks=(task,),
        priorities=(98,),
    )


def migrating() -> Reservation:
    """A SCHED_DEADLINE reservation in a shared root domain."""
    return replace(
        held(), core=ANY_CORE, priorities=(), mechanism=Mechanism.DEADLINE, container="edge"
    )


def grouped(core: int, task: str) -> Reservation:
    """One core's part of a job on several cores, in a shared budget group, its task pinned."""
    one = held()
    return replace(one, core=core, group=3, tasks=(replace(one.tasks[0], name=task, core=core),))


def granting() -> AdmissionAnswer:
    return AdmissionAnswer(
        schedulable=True, utilization={1: Fraction(1, 3)}, granted=(held(),), generation=4
    )


@pytest.mark.parametrize("generation", [None, 0, 12])
def test_a_request_reads_back(generation: int | None) -> None:
    body = format_reservation_request(request(generation))

    assert parse_reservation_request(body, pod_uid="5b0e-1") == request(generation)
    assert parse_reservation_request(body, pod_uid=None) == request(generation)


def refusal(body: bytes, pod_uid: str | None = None) -> InvalidInputError:
    with pytest.raises(InvalidInputError) as caught:
        parse_reservation_request(body, pod_uid=pod_uid)
    return caught.value


def test_refuses_a_body_for_another_pod_than_its_path() -> None:
    error = refusal(format_reservation_request(request()), pod_uid="other")

    assert str(error) == (
        "request body at $.pod.uid: found '5b0e-1', expected the uid in the request's path, 'other'"
    )


@pytest.mark.parametrize(
    ("body", "found", "expected"),
    [
        (b"\xff\xfe", "b'\\xff\\xfe'", "JSON in UTF-8"),
        (b" " * 200_000, "200000", "at most 131072 bytes"),
        (b"", "''", "JSON"),
        (b"[]", "an array of 0 items", "an object"),
        (b"[" * 130_000, "'[[[", "JSON"),
        (b"{}", "nothing", "this field"),
    ],
)
def test_a_body_that_is_no_request_is_refused(body: bytes, found: str, expected: str) -> None:
    error = refusal(body)

    assert error.source == "request body"
    assert error.found.startswith(found)
    assert error.expected.startswith(expected)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"criticality": "NO"}, "$.criticality"),
        ({"criticality": {}}, "$.criticality"),
        ({"tasks": []}, "$.tasks"),
        ({"tasks": [TASKS[0] | {"wcet": "1ms"}]}, "$.tasks[0].wcet"),
        ({"tasks": [{k: v for k, v in TASKS[0].items() if k != "container"}]}, "$.tasks[0]"),
        ({"enforcement": "cfs"}, "$.enforcement"),
        ({"enforcement": None}, "$.enforcement"),
        ({"tasks": [TASKS[0] | {"core": -1}]}, "$.tasks[0].core"),
        ({"tasks": [TASKS[0] | {"core": "1"}]}, "$.tasks[0].core"),
        ({"generation": -1}, "$.generation"),
        ({"generation": 1.5}, "$.generation"),
        ({"generation": None}, "$.generation"),
        ({"pod": {"uid": "a", "namespace": "b"}}, "$.pod.name"),
        ({"pod": {"uid": "", "namespace": "b", "name": "c"}}, "$.pod.uid"),
        ({"pod": {"uid": "a", "namespace": "../b", "name": "c"}}, "$.pod.namespace"),
        ({"pod": {"uid": "a", "namespace": "b", "name": "C"}}, "$.pod.name"),
        ({"extra": 1}, "$.extra"),
    ],
)
def test_each_mistake_in_a_request_names_its_place(change: dict[str, object], path: str) -> None:
    body = json.loads(format_reservation_request(request())) | change

    assert refusal(json.dumps(body).encode()).path == path


@pytest.mark.parametrize(
    "answer",
    [
        granting(),
        AdmissionAnswer(
            schedulable=False,
            reason=Reason.CPU_NO_BANDWIDTH,
            detail="core 1: 1/2 of 9/10 left\nelse",
            utilization={0: Fraction(0), 12: Fraction(10**40 + 1, 10**41)},
            generation=0,
        ),
        AdmissionAnswer(
            schedulable=True,
            utilization={1: Fraction(1, 3), ANY_CORE: Fraction(3, 2)},
            granted=(migrating(), grouped(1, "a"), grouped(2, "b")),
            generation=5,
        ),
        replace(granting(), exchange=True),
    ],
)
def test_an_answer_reads_back(answer: AdmissionAnswer) -> None:
    assert parse_admission_answer(format_admission_answer(answer)) == answer


def test_a_reason_is_given_exactly_when_the_pod_is_refused() -> None:
    with pytest.raises(ValueError, match="exactly when"):
        AdmissionAnswer(schedulable=False, utilization={}, generation=0)


def test_servers_are_exchanged_only_for_a_pod_that_fits() -> None:
    reason = Reason.CPU_NO_BANDWIDTH
    with pytest.raises(ValueError, match="servers are exchanged"):
        AdmissionAnswer(
            schedulable=False, reason=reason, utilization={}, generation=0, exchange=True
        )


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"schedulable": 1}, "$.schedulable"),
        ({"schedulable": False}, "$.reason"),
        ({"reason": "cpu.no-bandwidth"}, "$.reason"),
        ({"reason": "cpu.invented"}, "$.reason"),
        ({"reason": 1}, "$.reason"),
        ({"detail": "x" * 2001}, "$.detail"),
        ({"utilization": {"x": "1/2"}}, "$.utilization.x"),
        ({"utilization": {"01": "1/2"}}, '$.utilization["01"]'),
        ({"utilization": {"1": 0.5}}, '$.utilization["1"]'),
        ({"utilization": []}, "$.utilization"),
        ({"utilization": {"1": "9" * 600}}, '$.utilization["1"]'),
        ({"utilization": {"any": "1025"}}, "$.utilization.any"),
        ({"utilization": {str(core): "0" for core in range(1026)}}, "$.utilization"),
        ({"granted": [{}]}, "$.granted[0].pod_uid"),
        ({"generation": "4"}, "$.generation"),
        ({"exchange": 1}, "$.exchange"),
        ({"schedulable": False, "reason": "cpu.no-bandwidth", "exchange": True}, "$.exchange"),
        ({"extra": 1}, "$.extra"),
    ],
)
def test_each_mistake_in_an_answer_names_its_place(change: dict[str, object], path: str) -> None:
    body = json.loads(format_admission_answer(granting())) | change

    with pytest.raises(InvalidInputError) as caught:
        parse_admission_answer(json.dumps(body).encode())

    assert (caught.value.source, caught.value.path) == ("answer body", path)


def test_an_allocation_says_readably_what_was_given() -> None:
    assert format_allocation([held(priority=3)]) == (
        '{"v":2,"criticality":"HI","servers":[{"container":"app","mechanism":"rt-cgroup","core":1,'
        '"budget":"24ms","period":"100ms","tasks":[{"name":"a","wcet":"20ms","period":"100ms",'
        '"deadline":"100ms","priority":3,"rt_priority":98}]}]}'
    )


@pytest.mark.parametrize("priority", [None, 3])
def test_an_allocation_reads_back_for_the_pod_that_carries_it(priority: int | None) -> None:
    text = format_allocation([held(priority=priority)])

    assert parse_allocation(text, pod_uid="5b0e-1") == (held(priority=priority),)


def test_an_allocation_of_every_kind_reads_back() -> None:
    granted = (migrating(), grouped(1, "a"), grouped(2, "b"))

    assert parse_allocation(format_allocation(granted), pod_uid="5b0e-1") == granted


def test_a_thread_that_migrates_is_said_to_run_on_any_core() -> None:
    assert format_allocation([migrating()]) == (
        '{"v":2,"criticality":"HI","servers":[{"container":"edge","mechanism":"deadline",'
        '"core":"any","budget":"24ms","period":"100ms","tasks":[{"name":"a","wcet":"20ms",'
        '"period":"100ms","deadline":"100ms"}]}]}'
    )


def test_an_allocation_of_the_first_version_is_of_rt_cgroups() -> None:
    text = format_allocation([held()])
    first = text.replace('"v":2', '"v":1').replace('"mechanism":"rt-cgroup",', "")

    assert parse_allocation(first, pod_uid="5b0e-1") == (held(),)


def test_no_task_is_served_twice() -> None:
    text = format_allocation([held(), replace(held(), core=2)])

    with pytest.raises(InvalidAnnotationError) as caught:
        parse_allocation(text, pod_uid="5b0e-1")

    assert (caught.value.path, caught.value.expected) == (
        "$.servers[1]",
        "each task of a container once",
    )


def test_a_request_says_what_shall_hold_its_tasks() -> None:
    asked = request()
    asked = replace(asked, workload=replace(asked.workload, mechanism=Mechanism.DEADLINE))

    body = format_reservation_request(asked)

    assert json.loads(body)["enforcement"] == "deadline"
    assert parse_reservation_request(body, pod_uid=None) == asked


@pytest.mark.parametrize("granted", [[], [held(), held("other")]])
def test_an_allocation_belongs_to_one_pod(granted: list[Reservation]) -> None:
    with pytest.raises(ValueError, match="one pod"):
        format_allocation(granted)


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ('"v":2', '"v":3', "$.v"),
        ('"rt-cgroup"', '"cfs"', "$.servers[0].mechanism"),
        ('"rt-cgroup"', "[]", "$.servers[0].mechanism"),
        ('"rt-cgroup"', '"deadline"', "$.servers[0].tasks[0].rt_priority"),
        ('"rt-cgroup"', '"deadline","group":1', "$.servers[0].group"),
        ('"rt-cgroup"', '"rt-cgroup","group":-1', "$.servers[0].group"),
        ('"core":1', '"core":"any"', "$.servers[0].core"),
        (',"rt_priority":98', "", "$.servers[0].tasks[0].rt_priority"),
        ('"HI"', '"NO"', "$.criticality"),
        ('"budget":"24ms"', '"budget":"101ms"', "$.servers[0].budget"),
        ('"budget":"24ms"', '"budget":24', "$.servers[0].budget"),
        ('"wcet":"20ms"', '"wcet":"101ms"', "$.servers[0].tasks[0]"),
        ('"deadline":"100ms"', '"deadline":"0ms"', "$.servers[0].tasks[0].deadline"),
        ('"rt_priority":98', '"rt_priority":0', "$.servers[0].tasks[0].rt_priority"),
        ('"core":1', '"core":-1', "$.servers[0].core"),
        ('"container":"app"', '"container":""', "$.servers[0].container"),
        ('"core":1', '"kern":1', "$.servers[0].kern"),
    ],
)
def test_each_mistake_in_an_allocation_names_its_place(old: str, new: str, path: str) -> None:
    text = format_allocation([held()])
    assert old in text

    with pytest.raises(InvalidAnnotationError) as caught:
        parse_allocation(text.replace(old, new), pod_uid="x")

    assert caught.value.path == path
