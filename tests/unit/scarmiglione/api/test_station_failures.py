"""What the API answers when the daemon cannot serve, and what its document says."""

import json

from daemons.scarmiglione.__main__ import MAX_BODY
from daemons.scarmiglione.api import openapi
from daemons.scarmiglione.api.app import MAX_READ
from k40s.node_api.network_messages import format_slots_request
from tests.fakes.scarmiglione.world import World, ask, uid, window


def put(world: World, number: int = 1) -> tuple[int, dict[str, str]]:
    answer = (
        world.daemon.api()
        .test_client()
        .put(f"/v1/slots/{uid(number)}", data=format_slots_request(ask(number, window(100))))
    )
    return answer.status_code, json.loads(answer.data)


def test_while_it_starts_it_is_unavailable() -> None:
    status, body = put(World())

    assert (status, body["reason"]) == (503, "network.station-failed")
    assert "starting" in body["error"]


def test_a_kernel_that_fails_is_unavailable_and_leaves_nothing() -> None:
    world = World().open()
    world.kernel.failing_adds = 1

    status, body = put(world)

    assert (status, body["reason"]) == (503, "network.station-failed")
    assert (world.numbers, world.daemon.book.entries()) == ([], ())


def test_the_slots_of_a_bound_pod_stay() -> None:
    world = World().open()
    world.give(1, window(100))
    world.bind(1)

    answer = world.daemon.api().test_client().delete(f"/v1/slots/{uid(1)}")

    assert answer.status_code == 409


def test_the_document_names_every_route() -> None:
    app = World().daemon.api()
    routes = {
        rule.rule.replace("<", "{").replace(">", "}")
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "static"
    }

    served = json.loads(app.test_client().get("/v1/openapi.json").data)

    assert set(served["paths"]) == routes
    assert served == json.loads(json.dumps(openapi.document()))


def test_the_server_reads_no_more_than_the_application() -> None:
    assert MAX_BODY == MAX_READ
