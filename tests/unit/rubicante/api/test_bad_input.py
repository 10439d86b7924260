"""Every kind of bad input: one clear error, and nothing changes."""

import json
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from daemons.rubicante.api.app import MAX_READ
from k40s.node_api.messages import (
    MAX_BODY,
)
from tests.fakes.rubicante.http import PATH, body
from tests.fakes.rubicante.world import World, uid


def changed(**fields: object) -> Callable[[dict[str, object]], dict[str, object]]:
    return lambda whole: {**whole, **fields}


BAD_TASK = {"name": "ctl", "container": "main", "period": "100ms", "wcet": "5ms"}


BAD_BODIES: list[tuple[object, str]] = [
    (b"", "$"),
    (b"not json", "$"),
    (b"\xff\xfe", "$"),
    (b"[]", "$"),
    (b"[" * 5000, "$"),
    (b'{"pod":1,"pod":2}', "$"),
    (changed(extra=1), "$.extra"),
    (changed(criticality="HIGH"), "$.criticality"),
    (changed(criticality="NO"), "$.criticality"),
    (changed(criticality=None), "$.criticality"),
    (changed(generation="1"), "$.generation"),
    (changed(generation=-1), "$.generation"),
    (changed(generation=True), "$.generation"),
    (changed(tasks=[]), "$.tasks"),
    (changed(tasks={}), "$.tasks"),
    (changed(tasks=[{"name": "ctl", "container": "main", "wcet": "5ms"}]), "$.tasks[0].period"),
    (changed(tasks=[BAD_TASK | {"period": "100"}]), "$.tasks[0].period"),
    (changed(tasks=[BAD_TASK | {"period": 100}]), "$.tasks[0].period"),
    (changed(tasks=[BAD_TASK | {"wcet": "101ms"}]), "$.tasks[0].wcet"),
    (changed(tasks=[BAD_TASK | {"deadline": "101ms"}]), "$.tasks[0].deadline"),
    (changed(tasks=[BAD_TASK | {"name": "a name that is too long"}]), "$.tasks[0].name"),
    (changed(tasks=[BAD_TASK | {"prio": 1}]), "$.tasks[0].prio"),
    (changed(tasks=[BAD_TASK, BAD_TASK]), "$.tasks[1].name"),
    (changed(pod={"uid": uid(1), "namespace": "default"}), "$.pod.name"),
    (changed(pod={"uid": uid(1), "namespace": "../x", "name": "a"}), "$.pod.namespace"),
    (changed(pod={"uid": uid(2), "namespace": "default", "name": "a"}), "$.pod.uid"),
]


@pytest.mark.parametrize(
    ("bad", "path", "verb"),
    [
        *((bad, path, "PUT") for bad, path in BAD_BODIES),
        *((bad, path, "POST") for bad, path in BAD_BODIES if path != "$.pod.uid"),
    ],
)
def test_a_malformed_body_is_422_with_its_path_and_nothing_changes(
    client: FlaskClient, world: World, bad: object, path: str, verb: str
) -> None:
    data = bad if isinstance(bad, bytes) else json.dumps(bad(json.loads(body())))  # type: ignore[operator]

    answer = client.open(PATH if verb == "PUT" else "/v1/admission", method=verb, data=data)

    assert answer.status_code == 422, answer.text
    assert answer.json["source"] == "request body"
    assert answer.json["path"] == path
    assert answer.json["error"]
    assert world.book.entries() == ()
    assert world.store.texts == {}
    assert world.system.calls == []


@pytest.mark.parametrize("name", ["x", "..", "..%2f..%2fetc", uid(1).upper().replace("0", "A")])
@pytest.mark.parametrize("verb", ["PUT", "DELETE"])
def test_a_uid_that_could_be_no_cgroup_is_refused(
    client: FlaskClient, world: World, name: str, verb: str
) -> None:
    answer = client.open(f"/v1/reservations/{name}", method=verb, data=body())

    assert answer.status_code in {404, 422}
    assert world.system.calls == []


def test_an_admission_for_a_uid_that_is_none_is_422(client: FlaskClient) -> None:
    whole = json.loads(body())
    whole["pod"]["uid"] = "not-a-uuid"

    answer = client.post("/v1/admission", data=json.dumps(whole))

    assert (answer.status_code, answer.json["path"]) == (422, "$.pod.uid")


def test_a_body_without_end_is_refused(client: FlaskClient) -> None:
    answer = client.put(PATH, data=b" " * (MAX_READ + 1))

    assert answer.status_code == 413


def test_a_body_that_is_too_long_but_else_right_is_422(client: FlaskClient, world: World) -> None:
    answer = client.put(PATH, data=body() + b" " * MAX_BODY)

    assert (answer.status_code, answer.json["path"]) == (422, "$")
    assert f"at most {MAX_BODY} bytes" in answer.json["error"]
    assert world.store.texts == {}


def test_ten_thousand_tasks_are_refused_for_their_number(client: FlaskClient) -> None:
    tasks = [BAD_TASK | {"name": f"t{number}"} for number in range(10_000)]
    whole = json.dumps({**json.loads(body()), "tasks": tasks}).encode()

    answer = client.put(PATH, data=whole)

    assert len(whole) > MAX_BODY
    assert (answer.status_code, answer.json["path"]) == (422, "$.tasks")
    assert "found 10000, expected at most 32 tasks" in answer.json["error"]


@pytest.mark.parametrize(
    "data",
    [
        b"[" + b"1," * (MAX_BODY // 2) + b"1]",
        b"[" * (MAX_BODY + 1),
        b'{"tasks":' + b" " * MAX_BODY + b"1}",
        b"\xff" * (MAX_BODY + 1),
    ],
)
def test_what_is_too_long_for_another_reason_is_refused_for_its_size(
    client: FlaskClient, data: bytes
) -> None:
    answer = client.put(PATH, data=data)

    assert (answer.status_code, answer.json["path"]) == (422, "$")


def test_a_name_repeated_after_thousands_of_others_is_found(client: FlaskClient) -> None:
    members = ",".join(f'"{number}":1' for number in range(9_000))

    answer = client.put(PATH, data="{" + members + ',"8999":1}')

    assert answer.status_code == 422
    assert 'the field "8999" more than once' in answer.json["error"]


def test_other_paths_and_verbs_are_refused_in_json(client: FlaskClient) -> None:
    assert client.get("/").status_code == 404
    answer = client.get(PATH)
    assert answer.status_code == 405
    assert answer.json["error"]
