"""The question to the extender: over mutual TLS, to the real application, and odd answers."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from controller.extender_client import (
    PATH,
    PLAN_PATH,
    ExtenderClient,
    Outcome,
    PlannedVictim,
)
from k40s.errors import UnavailableError
from k40s.http.client import HttpClient
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.extender.full_nodes import fill, rt_pod
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


def plan_answer(**change: object) -> dict[str, object]:
    victim = {"Namespace": "default", "Name": "low", "UID": "u2", "Criticality": "LOW"}
    return {"Outcome": "plan", "Node": "a", "Victims": [victim], "Error": "", **change}


def test_a_plan_is_asked_for_and_read(server: FakeApiServer, client: ExtenderClient) -> None:
    server.answer("POST", PLAN_PATH, Answer(200, plan_answer()))
    server.answer("POST", PLAN_PATH, Answer(200, plan_answer(Outcome="fits", Node="", Victims=[])))

    plan = client.plan("default", "high", "u1", {"y", "x"})
    client.renew()
    fits = client.plan("default", "high", "u1", ())

    assert server.received[0].body == {
        "PodUID": "u1",
        "PodNamespace": "default",
        "PodName": "high",
        "Protected": ["x", "y"],
    }
    assert (plan.outcome, plan.node) == (Outcome.PLAN, "a")
    assert plan.victims == (
        PlannedVictim(namespace="default", name="low", uid="u2", criticality="LOW"),
    )
    assert (fits.outcome, fits.victims) == (Outcome.FITS, ())


def test_the_plan_that_the_extender_makes_is_read(
    server: FakeApiServer, client: ExtenderClient
) -> None:
    world = World()
    fill(world, "a", rt_pod("low"))
    world.filter(rt_pod("hi", "HI", "60ms"), ["a"])
    reply = world.plan("hi")
    server.answer("POST", PLAN_PATH, Answer(200, reply))

    plan = client.plan("default", "hi", "hi", ())

    assert (plan.outcome, plan.node) == (Outcome.PLAN, "a")
    assert [one.uid for one in plan.victims] == ["low"]
    again = world.verbs.preemption_plan(json.dumps(server.received[0].body).encode())
    assert json.loads(again) == reply


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, {}),
        Answer(200, b"{"),
        Answer(200, []),
        Answer(200, plan_answer(Error="not synchronized")),
        Answer(200, plan_answer(Outcome="maybe")),
        Answer(200, plan_answer(Node=None)),
        Answer(200, plan_answer(Victims=[{}])),
        Answer(200, plan_answer(Victims=5)),
        Answer(200, {"Outcome": "plan"}),
    ],
)
def test_anything_else_is_no_plan(
    server: FakeApiServer, client: ExtenderClient, answer: Answer
) -> None:
    server.answer("POST", PLAN_PATH, answer)

    with pytest.raises(UnavailableError, match=PLAN_PATH):
        client.plan("default", "high", "u1", ())
