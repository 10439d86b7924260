"""The protocol's JSON, to the letter (k8s.io/kube-scheduler/extender/v1)."""

import json
from pathlib import Path

import pytest

from extender.protocol import ExtenderArgs, PodFacts, parse_binding_args, parse_extender_args
from extender.verbs.bind import format_binding_result
from extender.verbs.filter_result import format_filter_result
from extender.verbs.prioritize import PriorityWriter
from k40s.errors import InvalidInputError
from tests.fakes.extender.world import World, make_args, make_node, make_pod

FIXTURES = Path(__file__).parents[2] / "fixtures" / "extender"
POD = PodFacts(uid="u", namespace="n", name="p", labels={}, annotations={}, containers=("c",))


def golden(name: str) -> object:
    return json.loads((FIXTURES / name).read_text())


def body(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


@pytest.fixture
def world() -> World:
    world = World()
    world.add(make_node("high", level=18), make_node("low", level=13), make_node("none"))
    return world


@pytest.mark.parametrize("form", ["node_names", "nodes"])
def test_filter_answers_in_the_form_of_the_request(world: World, form: str) -> None:
    answer = json.loads(world.verbs.filter(body(f"args_{form}.json")))

    assert answer == golden(f"filter_{form}.json")


@pytest.mark.parametrize("form", ["node_names", "nodes"])
def test_prioritize_answers_a_bare_array_in_the_order_asked(world: World, form: str) -> None:
    answer = json.loads(world.verbs.prioritize(body(f"args_{form}.json")))

    assert answer == golden("prioritize.json")


def test_bind_answers_an_empty_error(world: World) -> None:
    world.verbs.filter(body("args_node_names.json"))

    answer = json.loads(world.verbs.bind(body("binding_args.json")))

    assert answer == golden("binding_result.json")


def test_a_pod_that_is_missing_is_a_fault_in_the_error_field(world: World) -> None:
    answer = json.loads(world.verbs.filter(b'{"Pod": null, "NodeNames": ["high"]}'))

    assert answer == golden("filter_fault.json")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b"", "request body: "),
        (b"{", "request body: "),
        (b"\xff", "request body: "),
        (b"[" * 100_000, "request body: "),
        (b"[]", "request body: "),
        (b"{}", "$.Pod:"),
        (b'{"Pod": {}}', "$.Pod.metadata:"),
        (b'{"Pod": {"metadata": {}}}', "$.Pod.spec:"),
        (b'{"Pod": {"metadata": {}, "spec": {}}}', "$.Pod.spec.containers:"),
    ],
)
def test_a_bad_body_is_one_error_that_names_the_place(text: bytes, place: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_extender_args(text)

    assert place in str(caught.value)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"metadata": {"name": "p", "namespace": "n", "uid": ""}}, "$.Pod.metadata.uid"),
        ({"metadata": {"name": 5, "namespace": "n", "uid": "u"}}, "$.Pod.metadata.name"),
        (
            {"metadata": {"name": "p", "namespace": "n", "uid": "u", "annotations": {"a": 1}}},
            "$.Pod.metadata.annotations",
        ),
        (
            {"metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": ["a"]}},
            "$.Pod.metadata.labels",
        ),
        ({"spec": {"containers": ["main"]}}, "$.Pod.spec.containers[0]"),
        ({"spec": {"containers": [{"image": "x"}]}}, "$.Pod.spec.containers[0].name"),
    ],
)
def test_a_bad_pod_is_one_error_that_names_the_place(change: dict[str, object], place: str) -> None:
    pod = make_pod() | change

    with pytest.raises(InvalidInputError) as caught:
        parse_extender_args(make_args(pod, ["a"]))

    assert place in str(caught.value)


@pytest.mark.parametrize(
    ("nodes", "place"),
    [
        ({"NodeNames": "a"}, "$.NodeNames"),
        ({"NodeNames": ["a", None]}, "$.NodeNames"),
        ({"Nodes": []}, "$.Nodes"),
        ({"Nodes": {"items": None}}, "$.Nodes.items"),
        ({"Nodes": {"items": [{"metadata": {}}]}}, "$.Nodes.items[0].metadata.name"),
    ],
)
def test_bad_candidates_are_one_error_that_names_the_place(
    nodes: dict[str, object], place: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_extender_args(json.dumps({"Pod": make_pod()} | nodes).encode())

    assert place in str(caught.value)


def test_no_candidates_at_all_are_none() -> None:
    args = parse_extender_args(json.dumps({"Pod": make_pod()}).encode())

    assert args.names == ()


def test_unknown_keys_are_ignored() -> None:
    text = json.dumps({"Pod": make_pod(), "NodeNames": ["a"], "Future": {"x": 1}}).encode()

    assert parse_extender_args(text).names == ["a"]


@pytest.mark.parametrize("key", ["PodName", "PodNamespace", "PodUID", "Node"])
def test_a_binding_needs_all_of_its_keys(key: str) -> None:
    args = golden("binding_args.json")
    assert isinstance(args, dict)
    del args[key]

    with pytest.raises(InvalidInputError) as caught:
        parse_binding_args(json.dumps(args).encode())

    assert f"$.{key}" in str(caught.value)


def test_names_that_need_escapes_survive() -> None:
    odd = ['a"b', "c\nd", "e,f", "ü"]
    args = ExtenderArgs(pod=POD, names=odd)

    reply = json.loads(format_filter_result(args, odd[:1], dict.fromkeys(odd[1:], "r"), {"r": "w"}))

    assert reply["NodeNames"] == odd[:1]
    assert reply["FailedAndUnresolvableNodes"] == dict.fromkeys(odd[1:], "w")


def test_texts_of_several_reasons_reach_their_nodes() -> None:
    args = ExtenderArgs(pod=POD, names=["a", "b", "c"])
    refused = {"a": "x", "b": "y", "c": "x"}

    reply = json.loads(format_filter_result(args, (), refused, {"x": 'say "no"', "y": "why"}))

    assert reply["FailedAndUnresolvableNodes"] == {"a": 'say "no"', "b": "why", "c": 'say "no"'}
    assert reply["NodeNames"] == []
    assert reply["FailedNodes"] == {}


def test_a_priority_writer_forgets_hosts_rather_than_grow_for_ever() -> None:
    writer = PriorityWriter(hosts=2)

    texts = [json.loads(writer.format([name], [3])) for name in ("a", "b", "c", "a")]

    assert [text[0]["Host"] for text in texts] == ["a", "b", "c", "a"]
    assert {text[0]["Score"] for text in texts} == {3}


def test_a_binding_error_is_its_text() -> None:
    assert json.loads(format_binding_result("no")) == {"Error": "no"}


def with_init_containers(*items: object) -> bytes:
    whole = json.loads(body("args_node_names.json"))
    whole["Pod"]["spec"]["initContainers"] = list(items) if items else None
    return json.dumps(whole).encode()


def test_sidecars_are_told_from_init_containers_that_end_first() -> None:
    setup, log = {"name": "setup"}, {"name": "log", "restartPolicy": "Always"}

    pod = parse_extender_args(with_init_containers(setup, log)).pod

    assert (pod.sidecars, pod.init_containers) == (("log",), ("setup",))
    assert parse_extender_args(with_init_containers()).pod.sidecars == ()


def test_a_task_in_a_sidecar_is_placed_and_one_in_an_init_container_refused(world: World) -> None:
    answers = []
    for policy in ("Always", "OnFailure"):
        whole = json.loads(with_init_containers({"name": "log", "restartPolicy": policy}))
        task = {"name": "t", "container": "log", "period": "100ms", "wcet": "1ms"}
        whole["Pod"]["metadata"]["annotations"] = {
            "k40s.io/criticality": "LOW",
            "k40s.io/tasks": json.dumps([task]),
        }
        answers.append(world.verbs.filter(json.dumps(whole).encode()).decode())

    assert "pod.invalid-annotation" not in answers[0]
    assert "restartPolicy: Always" in answers[1]
