"""The document that describes the API, held to the parsers and to the running application."""

import copy
import json
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi import checks

from daemons.rubicante.api.app import create_app, openapi
from k40s.errors import InvalidInputError
from k40s.node_api.messages import parse_reservation_request
from tests.fakes.rubicante.http import PATH, body, state_of
from tests.fakes.rubicante.world import World, ask, pod, task, uid

Change = Callable[[dict[str, Any]], object]

TASK = {"name": "ctl", "container": "main", "period": "100ms", "wcet": "5ms"}
BODY = {
    "pod": {"uid": uid(1), "namespace": "default", "name": "pod-1"},
    "criticality": "LOW",
    "tasks": [
        {**TASK, "deadline": "50ms", "wcet": {"xeon": "5ms"}, "priority": 10, "core": 1},
        {**TASK, "name": "other"},
    ],
    "enforcement": "rt-cgroup",
    "generation": 12,
}
BREACHES: list[Change] = [
    lambda whole: whole.update(extra=1),
    lambda whole: whole.pop("pod"),
    lambda whole: whole.update(criticality="NO"),
    lambda whole: whole.update(enforcement="none"),
    lambda whole: whole.update(generation=-1),
    lambda whole: whole.update(generation=10**18),
    lambda whole: whole.update(generation="1"),
    lambda whole: whole.update(tasks=[]),
    lambda whole: whole.update(tasks=[{**TASK, "name": f"t{n}"} for n in range(65)]),
    lambda whole: whole["pod"].update(extra=1),
    lambda whole: whole["pod"].update(namespace="Default"),
    lambda whole: whole["pod"].update(name="x" * 254),
    lambda whole: whole["tasks"][0].update(prio=1),
    lambda whole: whole["tasks"][0].update(name="a name that is too long"),
    lambda whole: whole["tasks"][0].update(container="Main"),
    lambda whole: whole["tasks"][0].update(period="100"),
    lambda whole: whole["tasks"][0].update(period=100),
    lambda whole: whole["tasks"][0].update(wcet="-5ms"),
    lambda whole: whole["tasks"][0].update(wcet={}),
    lambda whole: whole["tasks"][0].update(wcet={"no platform": "5ms"}),
    lambda whole: whole["tasks"][0].update(wcet={f"p{n}": "5ms" for n in range(65)}),
    lambda whole: whole["tasks"][0].update(priority=0),
    lambda whole: whole["tasks"][0].update(priority=99),
    lambda whole: whole["tasks"][0].update(core=-1),
    lambda whole: whole["tasks"][0].update(core=10_000),
]


def component(name: str) -> jsonschema_rs.Validator:
    parts = json.loads(json.dumps(openapi.document()["components"]))
    return jsonschema_rs.validator_for(
        {"$ref": f"#/components/schemas/{name}", "components": parts}
    )


@pytest.fixture
def app(world: World) -> Flask:
    world.server.add(pod(1))
    return create_app(reservations=world.reservations, state=state_of(world))


def test_the_daemon_serves_the_document(client: FlaskClient) -> None:
    answer = client.get("/v1/openapi.json")

    assert answer.status_code == 200
    assert answer.json == json.loads(json.dumps(openapi.document()))


def test_every_path_and_verb_of_the_application_is_described(app: Flask) -> None:
    served = {
        (rule.rule.replace("<", "{").replace(">", "}"), verb.lower())
        for rule in app.url_map.iter_rules()
        for verb in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/v1")
    }
    paths: Any = openapi.document()["paths"]

    described = {
        (path, verb) for path, item in paths.items() for verb in item if verb != "parameters"
    }

    assert served == described


def test_what_the_parser_takes_satisfies_the_document() -> None:
    parse_reservation_request(json.dumps(BODY).encode(), pod_uid=uid(1))

    assert component("Request").is_valid(BODY)
    assert component("Request").is_valid(json.loads(body(ask(1, task(), task("b")))))


@pytest.mark.parametrize("breach", BREACHES)
def test_what_the_document_forbids_the_parser_refuses(breach: Change) -> None:
    whole: dict[str, Any] = copy.deepcopy(BODY)
    breach(whole)

    assert not component("Request").is_valid(whole)
    with pytest.raises(InvalidInputError):
        parse_reservation_request(json.dumps(whole).encode(), pod_uid=uid(1))


def test_answers_satisfy_the_document(client: FlaskClient) -> None:
    too_much = client.put(PATH, data=body(ask(1, task(wcet_ms=99))))
    granted = client.put(PATH, data=body())
    malformed = client.put(PATH, data=b"{}")

    assert [a.status_code for a in (too_much, granted, malformed)] == [409, 201, 422]
    assert component("Answer").is_valid(too_much.json)
    assert component("Answer").is_valid(granted.json)
    assert component("Invalid").is_valid(malformed.json)


CHECKS: list[CheckFunction] = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]


@pytest.mark.parametrize("operation", ["state", "describe", "judge", "reserve", "release"])
def test_the_application_keeps_to_the_document(operation: str, app: Flask, world: World) -> None:
    schema = schemathesis.openapi.from_wsgi("/v1/openapi.json", app)
    described = schema.find_operation_by_id(operation)
    statuses: list[int] = []

    @settings(
        max_examples=20,
        derandomize=True,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=described.as_strategy())
    def run(case: schemathesis.Case) -> None:
        answer = case.call()
        statuses.append(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    run()

    assert statuses
    assert world.book.generation <= len(statuses)
