"""The question to the extender: over mutual TLS, to the real application, and odd answers."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from controller.extender_client import PATH, ExtenderClient
from k40s.errors import UnavailableError
from k40s.http.client import HttpClient
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.extender.world import World, make_node, make_pod
from tests.fakes.kube.api_server import Answer, FakeApiServer, serving


@pytest.fixture
def server() -> Iterator[FakeApiServer]:
    with serving() as fake:
        yield fake


@pytest.fixture
def client(server: FakeApiServer) -> Iterator[ExtenderClient]:
    http = HttpClient(
        base_url=f"http://127.0.0.1:{server.port}", timeout=Nanoseconds(20 * NS_PER_S)
    )
    with closing(http):
        yield ExtenderClient(http)


def test_what_it_sends_the_extender_reads_and_what_that_says_it_reads(
    server: FakeApiServer, client: ExtenderClient
) -> None:
    world, pod = World(), make_pod(criticality="HI")
    world.add(make_node("fit", level=14), make_node("low", level=13))
    reply = world.dry_run(pod, ["fit", "low"])
    server.answer("POST", PATH, Answer(200, reply))

    answer = client.ask(pod, ["fit", "low"])

    assert answer.fit == ("fit",)
    assert answer.refused["low"].startswith("assurance.too-low: ")
    again = json.loads(world.verbs.dry_run(json.dumps(server.received[0].body).encode()))
    assert again == reply


@pytest.mark.parametrize(
    "answer",
    [
        Answer(503, {"error": "x"}),
        Answer(403, {"error": "this client may not call this"}),
        Answer(200, b"{"),
        Answer(200, []),
        Answer(200, {"NodeNames": ["a"]}),
        Answer(
            200, {"NodeNames": 5, "FailedNodes": {}, "FailedAndUnresolvableNodes": {}, "Error": ""}
        ),
        Answer(
            200,
            {
                "NodeNames": None,
                "FailedNodes": {},
                "FailedAndUnresolvableNodes": {},
                "Error": "not synchronized: pods",
            },
        ),
    ],
)
def test_anything_else_is_no_answer(
    server: FakeApiServer, client: ExtenderClient, answer: Answer
) -> None:
    server.answer("POST", PATH, answer)

    with pytest.raises(UnavailableError, match=PATH):
        client.ask(_pod(), ["a"])


def _pod() -> dict[str, Any]:
    return dict(make_pod(criticality="HI"))
