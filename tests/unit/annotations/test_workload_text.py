import json
from types import MappingProxyType

import pytest

from k40s.annotations import (
    CRITICALITY_KEY,
    ENFORCEMENT_KEY,
    TASKS_KEY,
    parse_tasks,
    read_workload,
    task_json,
)
from k40s.cpu.model import Mechanism
from k40s.cpu.workload import TaskContract, WcetTable, Workload
from k40s.criticality import Criticality
from k40s.errors import InvalidAnnotationError
from k40s.units import NS_PER_MS, Nanoseconds

MS = NS_PER_MS
GOOD = {"name": "control", "container": "app", "period": "100ms", "wcet": "20ms"}


def read(
    tasks: object, criticality: str = "LOW", containers: tuple[str, ...] | None = ("app",)
) -> Workload:
    text = tasks if isinstance(tasks, str) else json.dumps(tasks)
    return read_workload(
        labels={},
        annotations={CRITICALITY_KEY: criticality, TASKS_KEY: text},
        containers=containers,
    )


def error_of(
    tasks: object, criticality: str = "LOW", containers: tuple[str, ...] | None = ("app",)
) -> InvalidAnnotationError:
    with pytest.raises(InvalidAnnotationError) as caught:
        read(tasks, criticality, containers)
    return caught.value


def good(**changes: object) -> dict[str, object]:
    task = GOOD | changes
    return {name: value for name, value in task.items() if value is not ...}


def test_a_pod_without_our_keys_is_a_workload_without_criticality() -> None:
    assert read_workload(labels={"app": "x"}, annotations={}) == Workload(
        criticality=Criticality.NO
    )


def test_reads_a_low_task_with_one_baseline_and_the_period_as_its_deadline() -> None:
    workload = read([good()])

    assert workload == Workload(
        criticality=Criticality.LOW,
        tasks=(
            TaskContract(
                name="control",
                container="app",
                period=Nanoseconds(100 * MS),
                deadline=Nanoseconds(100 * MS),
                wcet=WcetTable(baseline=Nanoseconds(20 * MS)),
            ),
        ),
    )


def test_reads_a_hi_task_with_its_table_deadline_and_priority() -> None:
    task = good(deadline="50ms", priority=3, wcet={"xeon": "20ms", "arm-a72": "40ms"})

    (contract,) = read([task], "HI").tasks

    table = MappingProxyType({"xeon": Nanoseconds(20 * MS), "arm-a72": Nanoseconds(40 * MS)})
    assert contract.wcet == WcetTable(by_platform=table)
    assert (contract.deadline, contract.priority) == (50 * MS, 3)


@pytest.mark.parametrize(
    ("labels", "annotations"),
    [
        ({CRITICALITY_KEY: "HI"}, {}),
        ({}, {CRITICALITY_KEY: "HI"}),
        ({CRITICALITY_KEY: "HI"}, {CRITICALITY_KEY: "HI"}),
    ],
)
def test_criticality_is_an_annotation_or_a_label(
    labels: dict[str, str], annotations: dict[str, str]
) -> None:
    assert read_workload(labels=labels, annotations=annotations).criticality is Criticality.HI


def test_refuses_a_label_that_contradicts_the_annotation() -> None:
    with pytest.raises(InvalidAnnotationError) as caught:
        read_workload(labels={CRITICALITY_KEY: "LOW"}, annotations={CRITICALITY_KEY: "HI"})

    assert str(caught.value) == (
        "label k40s.io/criticality: found 'LOW', "
        "expected the same as the annotation, or no such label"
    )


@pytest.mark.parametrize("text", ["hi", "HIGH", "", " HI", "1", "no", "HI\n"])
def test_a_misspelt_criticality_names_the_valid_ones(text: str) -> None:
    with pytest.raises(InvalidAnnotationError, match='expected one of "NO", "LOW", "HI"') as caught:
        read_workload(labels={}, annotations={CRITICALITY_KEY: text})

    assert caught.value.source == CRITICALITY_KEY


@pytest.mark.parametrize("criticality", [{}, {CRITICALITY_KEY: "NO"}])
def test_refuses_tasks_without_criticality(criticality: dict[str, str]) -> None:
    with pytest.raises(InvalidAnnotationError, match='expected "LOW" or "HI"') as caught:
        read_workload(labels={}, annotations=criticality | {TASKS_KEY: json.dumps([good()])})

    assert caught.value.source == CRITICALITY_KEY


def test_a_container_may_be_left_out_where_the_pod_has_one() -> None:
    assert read([good(container=...)]).tasks[0].container == "app"


@pytest.mark.parametrize("containers", [("app", "sidecar"), None])
def test_refuses_a_missing_container_where_the_pod_may_have_several(
    containers: tuple[str, ...] | None,
) -> None:
    error = error_of([good(container=...)], containers=containers)

    assert str(error) == (
        "k40s.io/tasks at $[0]: found no container, "
        "expected the field container, because the pod may have several"
    )


def test_refuses_a_container_that_the_pod_does_not_have() -> None:
    error = error_of([good(container="ap")], containers=("web", "app"))

    assert (error.path, error.expected) == (
        "$[0].container",
        "one of the pod's containers: app, web",
    )


def test_any_container_name_will_do_where_the_pods_are_not_known() -> None:
    assert read([good(container="else")], containers=None).tasks[0].container == "else"


@pytest.mark.parametrize(
    ("changes", "path", "found", "expected"),
    [
        ({"period": ...}, "$[0].period", "nothing", "this field"),
        ({"wcet": ...}, "$[0].wcet", "nothing", "this field"),
        ({"name": ...}, "$[0].name", "nothing", "this field"),
        ({"perod": "1ms"}, "$[0].perod", 'the unknown field "perod"', "only name, period, wcet"),
        ({"x y": 1}, '$[0]["x y"]', 'the unknown field "x y"', "only name, period, wcet"),
        ({"period": 100}, "$[0].period", "100", "a duration with a unit"),
        ({"period": "100"}, "$[0].period", "'100'", "a duration with a unit"),
        ({"period": "-1ms"}, "$[0].period", "'-1ms'", "a duration with a unit"),
        ({"period": True}, "$[0].period", "true", "a duration with a unit"),
        ({"period": None}, "$[0].period", "null", "a duration with a unit"),
        ({"period": ["1ms"]}, "$[0].period", "an array of 1 items", "a duration with a unit"),
        ({"period": "99us"}, "$[0].period", "'99us'", "100us to 3600s"),
        ({"period": "3601s"}, "$[0].period", "'3601s'", "100us to 3600s"),
        ({"deadline": "101ms"}, "$[0].deadline", "'101ms'", "at most the period, 100ms"),
        ({"deadline": "0ms"}, "$[0].deadline", "'0ms'", "a duration above zero"),
        ({"wcet": "101ms"}, "$[0].wcet", "'101ms'", "at most the deadline, 100ms"),
        ({"wcet": "21ms", "deadline": "20ms"}, "$[0].wcet", "'21ms'", "at most the deadline, 20ms"),
        ({"wcet": "0.1ns"}, "$[0].wcet", "'0.1ns'", "in whole nanoseconds"),
        ({"wcet": 20}, "$[0].wcet", "20", "a duration with a unit"),
        ({"wcet": {}}, "$[0].wcet", "an object with 0 fields", "1 to 64 platforms"),
        ({"wcet": {"x": 20}}, "$[0].wcet.x", "20", "a duration with a unit"),
        ({"wcet": {"x": "1s"}}, "$[0].wcet.x", "'1s'", "at most the deadline"),
        ({"wcet": {"a b": "1ms"}}, '$[0].wcet["a b"]', "'1ms'", "a platform's name"),
        ({"priority": 0}, "$[0].priority", "0", "a whole number from 1 to 98"),
        ({"priority": 99}, "$[0].priority", "99", "a whole number from 1 to 98"),
        ({"priority": True}, "$[0].priority", "true", "a whole number from 1 to 98"),
        ({"priority": 1.0}, "$[0].priority", "1.0", "a whole number from 1 to 98"),
        ({"core": -1}, "$[0].core", "-1", "a whole number from 0 to 9999"),
        ({"core": 10_000}, "$[0].core", "10000", "a whole number from 0 to 9999"),
        ({"core": "2"}, "$[0].core", "'2'", "a whole number from 0 to 9999"),
        ({"core": None}, "$[0].core", "null", "a whole number from 0 to 9999"),
        ({"name": ""}, "$[0].name", "''", "a thread's name"),
        ({"name": "x" * 16}, "$[0].name", "'xxxxxxxxxxxxxxxx'", "a thread's name"),
        ({"name": "tür"}, "$[0].name", "'tür'", "a thread's name"),
        ({"name": 1}, "$[0].name", "1", "a thread's name"),
        ({"container": "App"}, "$[0].container", "'App'", "a container's name"),
    ],
)
def test_each_mistake_in_a_task_has_its_one_clear_error(
    changes: dict[str, object], path: str, found: str, expected: str
) -> None:
    error = error_of([good(**changes)])

    assert (error.source, error.path, error.found) == (TASKS_KEY, path, found)
    assert expected in error.expected


@pytest.mark.parametrize(
    ("text", "path", "found", "expected"),
    [
        ("{", "$", "'{'", "JSON (Expecting property name"),
        ("", "$", "''", "JSON (Expecting value"),
        ("[1] x", "$", "'[1] x'", "JSON (Extra data"),
        ("[NaN]", "$", "'[NaN]'", "JSON without NaN"),
        ("[-Infinity]", "$", "'[-Infinity]'", "JSON without -Infinity"),
        ("[" * 16_000, "$", "'[[[", "JSON"),
        ("[" + "9" * 5000 + "]", "$", "'[999", "JSON without numbers of more than 18 digits"),
        (" " * 16_385, "$", "'   ", "at most 16384 characters"),
        ("{}", "$", "an object with 0 fields", "an array of 1 to 64 items"),
        ("[]", "$", "an array of 0 items", "an array of 1 to 64 items"),
        ("[1]", "$[0]", "1", "an object"),
        ("[1e999]", "$[0]", "inf", "an object"),
        ('[{"a": 1, "a": 2}]', "$[0]", 'the field "a" more than once', "each field once"),
        ('[{"name": {"a": 1, "a": 2}, "period": "1ms", "wcet": "1ms"}]', "$[0].name", "", ""),
        ("[" + "{}," * 32 + "{}]", "$", "33 tasks", "at most 32 tasks in a pod"),
    ],
)
def test_what_is_not_a_list_of_tasks_is_refused_as_a_whole(
    text: str, path: str, found: str, expected: str
) -> None:
    error = error_of(text)

    assert error.path == path
    assert error.found.startswith(found)
    assert error.expected.startswith(expected)


def test_refuses_a_hi_task_with_a_baseline_because_the_paper_knows_no_fallback() -> None:
    error = error_of([good()], "HI")

    assert error.path == "$[0].wcet"
    assert error.expected.startswith('a table of platforms, such as {"xeon": "20ms"}')


def test_refuses_a_name_used_twice_in_a_container_but_not_in_two() -> None:
    again = good(container="web")

    assert len(read([good(), again], containers=("app", "web")).tasks) == 2
    assert error_of([good(), good()]).path == "$[1].name"


def test_a_task_may_ask_for_a_core() -> None:
    pinned, free = read([good(core=2), good(name="b")]).tasks

    assert (pinned.core, free.core) == (2, None)


@pytest.mark.parametrize(
    ("text", "mechanism"), [("rt-cgroup", Mechanism.RT_CGROUP), ("deadline", Mechanism.DEADLINE)]
)
def test_a_pod_may_say_what_shall_hold_its_tasks(text: str, mechanism: Mechanism) -> None:
    annotations = {
        CRITICALITY_KEY: "LOW",
        TASKS_KEY: json.dumps([good()]),
        ENFORCEMENT_KEY: text,
    }

    assert read_workload(labels={}, annotations=annotations).mechanism is mechanism


@pytest.mark.parametrize("text", ["", "Deadline", "rt_cgroup", "SCHED_DEADLINE", " deadline"])
def test_a_misspelt_mechanism_names_the_valid_ones(text: str) -> None:
    annotations = {
        CRITICALITY_KEY: "LOW",
        TASKS_KEY: json.dumps([good()]),
        ENFORCEMENT_KEY: text,
    }

    with pytest.raises(InvalidAnnotationError) as caught:
        read_workload(labels={}, annotations=annotations)

    assert str(caught.value) == (
        f'k40s.io/enforcement: found {text!r}, expected "rt-cgroup" or "deadline"'
    )


def test_refuses_to_enforce_what_has_no_tasks() -> None:
    with pytest.raises(InvalidAnnotationError) as caught:
        read_workload(labels={}, annotations={CRITICALITY_KEY: "HI", ENFORCEMENT_KEY: "deadline"})

    assert str(caught.value) == (
        "k40s.io/enforcement: found 'deadline', "
        "expected no such annotation on a pod without k40s.io/tasks"
    )


def test_a_written_task_reads_back() -> None:
    tasks = read(
        [good(priority=3, deadline="99ms", core=7), good(name="b", wcet={"x": "1ms"})]
    ).tasks

    written = [task_json(task) for task in tasks]

    assert parse_tasks(written, source=TASKS_KEY, criticality=Criticality.LOW) == tasks


def read_beside(container: str | None = None, **kinds: tuple[str, ...]) -> str:
    """The container that the task is read to be in, of a pod with an ordinary one named app."""
    task = good(container=...) if container is None else good(container=container)
    workload = read_workload(
        labels={},
        annotations={"k40s.io/criticality": "LOW", "k40s.io/tasks": json.dumps([task])},
        containers=("app",),
        **kinds,
    )
    return workload.tasks[0].container


def test_a_sidecar_may_hold_tasks() -> None:
    assert read_beside("log", sidecars=("log",)) == "log"


def test_a_task_without_a_container_is_in_the_only_ordinary_one() -> None:
    assert read_beside(sidecars=("log",), init_containers=("setup",)) == "app"


def test_an_init_container_that_ends_first_holds_no_task_and_is_told_what_would_be_right() -> None:
    with pytest.raises(InvalidAnnotationError) as refused:
        read_beside("setup", sidecars=("log",), init_containers=("setup",))

    assert str(refused.value) == (
        "k40s.io/tasks at $[0].container: found 'setup', expected one of the pod's containers: "
        "app, log; or restartPolicy: Always on this one, because an init container without it "
        "ends before the others start"
    )


def many(count: int, container: str) -> list[dict[str, object]]:
    return [good(name=f"t{number}", container=container) for number in range(count)]


def test_seventeen_tasks_in_a_container_are_refused_for_their_number() -> None:
    read(many(16, "a") + many(16, "b"), containers=("a", "b"))

    with pytest.raises(InvalidAnnotationError) as caught:
        read(many(17, "a"), containers=("a", "b"))

    assert str(caught.value) == (
        'k40s.io/tasks: found 17 tasks in container "a", expected at most 16 tasks in a container'
    )


def test_what_runs_is_read_with_as_many_tasks_as_it_was_admitted_with() -> None:
    annotations = {CRITICALITY_KEY: "LOW", TASKS_KEY: json.dumps(many(64, "a"))}

    assert len(read_workload(labels={}, annotations=annotations, held=True).tasks) == 64
    with pytest.raises(InvalidAnnotationError, match="found 64 tasks, expected at most 32 tasks"):
        read_workload(labels={}, annotations=annotations)
