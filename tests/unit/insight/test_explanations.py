"""Explanations: whose pod, what the extender is asked, and what a reader is not told."""

import json
from dataclasses import replace

import pytest

from insight.explanations.redaction import redact
from k40s.explanation.json import parse_told
from k40s.explanation.model import Explanation, Figure, NodeExplanation, Obstacle
from tests.fakes.insight.api import EVENTS, allow_pods_in
from tests.fakes.insight.world import ADMIN, HOST, NOBODY, READER, World

WAITING = "/v1/namespaces/mine/pods/waiting/explanation"
NEW = "/v1/namespaces/mine/explanations"
OURS = f"https://{HOST}"


def obstacle(namespace: str, pod: str, what: str = "core 1: 24ms/100ms") -> Obstacle:
    return Obstacle(namespace=namespace, pod=pod, pod_uid=f"uid-{pod}", criticality="HI", what=what)


def explanation(*obstacles: Obstacle, **changes: object) -> Explanation:
    node = NodeExplanation(
        name="node-1",
        reason="cpu.no-bandwidth",
        text="not enough real-time CPU",
        detail="core 1 lacks 3 ms",
        figures=(Figure(what="core 1", needed="0.2", free="0.1"),),
        obstacles=obstacles,
        remedies=(),
        score=None,
        parts=(),
        age=0.1,
    )
    return Explanation(
        namespace="mine",
        pod="waiting",
        criticality="HI",
        fault=None,
        nodes=(replace(node, **changes),),  # type: ignore[arg-type]  # tests change single fields
    )


def test_a_waiting_pods_explanation_is_the_extenders(world: World) -> None:
    world.explainer.answer = explanation()

    reply = world.call("GET", WAITING, token=READER)

    told = parse_told(reply.body.decode(), source="answer")
    assert (told.explanation, told.running) == (explanation(), None)
    ((pod, nodes),) = world.explainer.asked
    assert pod["metadata"]["name"] == "waiting"
    assert nodes == ["node-1", "node-2"]


@pytest.mark.parametrize("name", ["waiting", "none"])
def test_without_get_pods_a_pod_is_not_told_from_none(world: World, name: str) -> None:
    reply = world.call("GET", f"/v1/namespaces/mine/pods/{name}/explanation", token=NOBODY)

    assert reply.status == 403
    assert "may not get pods in the namespace mine" in reply.json["error"]
    assert world.explainer.asked == []


def test_a_pod_that_is_not_there_is_404_and_where_its_end_is_told_is_said(world: World) -> None:
    reply = world.call("GET", "/v1/namespaces/mine/pods/none/explanation", token=READER)

    assert reply.status == 404
    assert "kubectl get events -n mine --field-selector involvedObject.name=none" in str(reply.json)


def test_obstacles_of_others_lose_their_names_everywhere(world: World) -> None:
    hidden = obstacle("theirs", "secret", what="core 1: theirs/secret has 24ms/100ms")
    world.explainer.answer = explanation(
        obstacle("mine", "bound"),
        hidden,
        detail="secret takes what is free; secret-2 does not",
        remedies=("without theirs/secret it fits", "with period: 200ms it fits"),
        figures=(Figure(what="core 1 beside uid-secret", needed="1", free="0"),),
    )

    reply = world.call("GET", WAITING, token=READER)

    (node,) = reply.json["explanation"]["nodes"]
    assert [one["pod"] for one in node["obstacles"]] == ["bound", ""]
    assert node["obstacles"][1]["criticality"] == "HI"
    assert node["detail"].endswith("secret-2 does not")
    assert "with period: 200ms it fits" in node["remedies"]
    text = reply.body.decode().replace("secret-2", "")
    assert "secret" not in text
    assert "theirs" not in text


@pytest.mark.parametrize("namespace", ["theirs", ""])
def test_an_obstacle_without_a_pods_name_shows_neither_its_namespace_nor_its_uid(
    world: World, namespace: str
) -> None:
    unknown = replace(obstacle(namespace, ""), pod_uid="0b7c1a52")
    world.explainer.answer = explanation(unknown, detail="the pod 0b7c1a52 takes what is free")

    reply = world.call("GET", WAITING, token=READER)

    assert reply.status == 200
    assert b"theirs" not in reply.body
    assert b"0b7c1a52" not in reply.body


FAULT = (
    "Network lan cannot be used: found one of pod theirs/secret beyond it, expected slots within "
    "the cycle; found 0b7c1a52-1111-2222-3333-444455556666 again; one of pod mine/bound"
)


def test_a_fault_names_no_pod_of_others(world: World) -> None:
    world.explainer.answer = explanation(detail=FAULT)

    reply = world.call("GET", WAITING, token=READER)

    told = parse_told(reply.body.decode(), source="answer").explanation
    assert told is not None
    assert told.nodes[0].detail == FAULT.replace(
        "pod theirs/secret", "a pod that you may not see"
    ).replace("0b7c1a52-1111-2222-3333-444455556666", "a pod that you may not see")


def test_who_may_see_all_is_told_every_fault(world: World) -> None:
    world.explainer.answer = explanation(detail=FAULT)

    reply = world.call("GET", WAITING, token=ADMIN)

    assert parse_told(reply.body.decode(), source="answer").explanation == explanation(detail=FAULT)


def test_who_may_see_all_is_told_all(world: World) -> None:
    world.explainer.answer = explanation(obstacle("theirs", "secret"))

    reply = world.call("GET", WAITING, token=ADMIN)

    assert reply.json["explanation"]["nodes"][0]["obstacles"][0]["pod"] == "secret"


def test_rights_to_an_obstacle_are_asked_for_by_its_namespace(world: World) -> None:
    world.api.rights["reader"] = allow_pods_in("mine", "theirs")
    world.explainer.answer = explanation(obstacle("theirs", "secret"))

    reply = world.call("GET", WAITING, token=READER)

    assert reply.json["explanation"]["nodes"][0]["obstacles"][0]["namespace"] == "theirs"


def test_an_extender_that_does_not_answer_is_503(world: World) -> None:
    reply = world.call("GET", WAITING, token=READER)

    assert reply.status == 503
    assert "extender" in reply.json["error"]


def manifest(**metadata: str) -> bytes:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [{"name": "main", "image": "app"}]},
    }
    return json.dumps(pod).encode()


def test_a_manifest_is_explained_as_if_it_were_there(world: World) -> None:
    world.explainer.answer = explanation()

    reply = world.call("POST", NEW, token=READER, body=manifest(generateName="loop-"))

    assert reply.status == 200
    ((pod, _),) = world.explainer.asked
    assert pod["metadata"]["namespace"] == "mine"
    assert pod["metadata"]["name"] == "loop-"
    assert pod["metadata"]["uid"]


def test_a_page_may_ask_about_a_manifest_by_its_cookie(world: World) -> None:
    world.explainer.answer = explanation()
    cookie = world.sign_in()

    mine = world.call("POST", NEW, cookie=cookie, origin=OURS, body=manifest(name="loop"))
    other = world.call("POST", NEW, cookie=cookie, body=manifest(name="loop"))

    assert (mine.status, other.status) == (200, 403)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"kind: Pod", 400),
        (b"[" * 100_000, 400),
        (b"[]", 422),
        (b'{"kind": "Deployment"}', 422),
        (b'{"kind": "Pod"}', 422),
        (b'{"kind": "Pod", "metadata": [], "spec": {}}', 422),
        (manifest(namespace="theirs"), 422),
    ],
)
def test_what_is_no_pod_of_the_namespace_is_refused(world: World, body: bytes, status: int) -> None:
    reply = world.call("POST", NEW, token=READER, body=body)

    assert reply.status == status
    assert "expected" in reply.json["error"]
    assert world.explainer.asked == []


def test_a_manifest_in_a_namespace_without_rights_is_refused_before_it_is_read(
    world: World,
) -> None:
    reply = world.call("POST", "/v1/namespaces/theirs/explanations", token=READER, body=b"{")

    assert reply.status == 403
    assert world.explainer.asked == []


def test_an_explanation_without_hidden_obstacles_is_left_as_it_is() -> None:
    nobody = replace(obstacle("", ""), pod_uid="")
    whole = explanation(obstacle("mine", "bound"), nobody)

    assert redact(whole, lambda namespace: namespace == "mine") is whole


STORY = "/v1/namespaces/mine/pods/bound/explanation"


def happened(world: World, reason: str, message: str, *, kind: str = "Pod") -> None:
    about = (
        {"kind": "Pod", "namespace": "mine", "name": "bound", "uid": "uid-mine-bound"}
        if kind == "Pod"
        else {"kind": "Node", "name": "node-1"}
    )
    world.api.put(
        EVENTS,
        {
            "metadata": {
                "name": reason,
                "namespace": "mine" if kind == "Pod" else "default",
                "uid": f"event-{reason}",
            },
            "involvedObject": about,
            "reason": reason,
            "message": message,
            "reportingComponent": "k40s-malacoda",
            "lastTimestamp": "2026-03-01T12:01:00Z",
        },
    )


def test_a_bound_pod_has_a_story_and_no_explanation(world: World) -> None:
    reply = world.call("GET", STORY, token=READER)

    told = parse_told(reply.body.decode(), source="answer")
    assert told.explanation is None
    assert told.running is not None
    assert (told.running.node, told.running.level) == ("node-1", 15)
    assert told.running.servers[0].budget == "2ms"
    assert world.explainer.asked == []


def test_a_story_leaves_out_what_names_others_and_the_node_without_rights(world: World) -> None:
    happened(world, "SuspectThrottled", "held responsible beside theirs/secret")
    happened(world, "SuspectNamed", "theirs/secret is suspected", kind="Node")
    happened(world, "AssuranceReduced", "hazard: psi", kind="Node")
    happened(world, "Overrun", "task control overran")

    mine = world.call("GET", STORY, token=READER)
    all_of_it = world.call("GET", STORY, token=ADMIN)

    assert b"secret" not in mine.body
    assert b"hazard: psi" not in mine.body
    assert b"task control overran" in mine.body
    assert b"hazard: psi" in all_of_it.body
    assert b"theirs/secret is suspected" in all_of_it.body
