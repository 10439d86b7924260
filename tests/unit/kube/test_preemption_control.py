"""Claims and budgets at the API server: what is sent, and what odd answers mean."""

from typing import Any

import pytest

from k40s.errors import UnreadableError
from k40s.http.client import HttpClient
from k40s.kube.objects.budgets import BudgetRecord, budget_record
from k40s.kube.transport import ApiTransport, ConflictError
from k40s.kube.writing.preemption_control import PreemptionControl
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.kube.api_server import Answer, FakeApiServer, serving

POD = "/api/v1/namespaces/plant/pods/high"
BUDGETS = "/apis/policy/v1/namespaces/plant/poddisruptionbudgets"


def control(server: FakeApiServer) -> PreemptionControl:
    url = f"http://127.0.0.1:{server.port}"
    return PreemptionControl(
        ApiTransport(HttpClient(base_url=url, timeout=Nanoseconds(20 * NS_PER_S)))
    )


@pytest.mark.parametrize("claim", ["{}", None])
def test_a_claim_is_written_for_one_version_of_one_pod(claim: str | None) -> None:
    with serving() as server:
        server.answer("PATCH", POD, Answer(200, {}))
        server.answer("PATCH", POD, Answer(409, {"message": "modified"}))

        control(server).set_claim("plant", "high", uid="u", resource_version="7", claim=claim)
        with pytest.raises(ConflictError):
            control(server).set_claim("plant", "high", uid="u", resource_version="7", claim=claim)

    annotations = {"status.k40s.io/preemption": claim}
    meta = {"uid": "u", "resourceVersion": "7", "annotations": annotations}
    assert server.received[0].body == {"metadata": meta}


def test_a_node_is_read_as_what_it_offers() -> None:
    taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    with serving() as server:
        node = {"metadata": {"name": "edge-1"}, "spec": {"taints": [taint]}}
        server.answer("GET", "/api/v1/nodes/edge-1", Answer(200, node))
        server.answer("GET", "/api/v1/nodes/edge-1", Answer(404, {}))
        server.answer("GET", "/api/v1/nodes/edge-1", Answer(200, {}))

        found = control(server).node("edge-1")
        gone = control(server).node("edge-1")
        with pytest.raises(UnreadableError):
            control(server).node("edge-1")

    assert found is not None
    assert [one.key for one in found.taints] == ["node.kubernetes.io/unschedulable"]
    assert gone is None


def test_budgets_of_a_namespace_are_listed() -> None:
    with serving() as server:
        server.answer("GET", BUDGETS, Answer(200, {"items": [item()]}))
        server.answer("GET", BUDGETS, Answer(200, {}))
        server.answer("GET", BUDGETS, Answer(200, {"items": [{}]}))

        (found,) = control(server).budgets("plant")
        for _ in range(2):
            with pytest.raises(UnreadableError):
                control(server).budgets("plant")

    assert (found.name, found.allowed) == ("b", 2)
    assert found.selects({"app": "x", "more": "y"})


def item(**change: Any) -> dict[str, Any]:  # noqa: ANN401  # any JSON
    return {
        "metadata": {"namespace": "plant", "name": "b", "generation": 3},
        "spec": {"selector": {"matchLabels": {"app": "x"}}, **change.pop("spec", {})},
        "status": {
            "observedGeneration": 3,
            "disruptionsAllowed": 2,
            "currentHealthy": 3,
            "desiredHealthy": 1,
            **change,
        },
    }


def expression(operator: str, *values: str) -> dict[str, Any]:
    terms = [{"key": "app", "operator": operator, "values": list(values)}]
    return {"selector": {"matchExpressions": terms}}


@pytest.mark.parametrize(
    ("spec", "labels", "selected"),
    [
        ({}, {"app": "x"}, True),
        ({}, {"app": "y"}, False),
        ({}, {}, False),
        ({"selector": {}}, {}, True),
        ({"selector": None}, {"app": "x"}, False),
        (expression("In", "x", "y"), {"app": "y"}, True),
        (expression("NotIn", "x"), {}, True),
        (expression("NotIn", "x"), {"app": "x"}, False),
        (expression("Exists"), {"app": "z"}, True),
        (expression("DoesNotExist"), {"app": "z"}, False),
    ],
)
def test_a_selector_is_read_as_kubernetes_does(
    spec: dict[str, Any], labels: dict[str, str], *, selected: bool
) -> None:
    assert budget_record(item(spec=spec)).selects(labels) is selected


def test_a_status_of_an_older_declaration_allows_nobody_to_go() -> None:
    assert budget_record(item(observedGeneration=2)).allowed == 0
    assert not budget_record(item(observedGeneration=2)).spares_unready


def test_unready_pods_are_spared_while_enough_are_healthy_or_always() -> None:
    always = {"unhealthyPodEvictionPolicy": "AlwaysAllow"}

    assert budget_record(item()).spares_unready
    assert not budget_record(item(currentHealthy=0)).spares_unready
    assert not budget_record(item(desiredHealthy=0)).spares_unready
    assert budget_record(item(currentHealthy=0, spec=always)).spares_unready


@pytest.mark.parametrize(
    "odd",
    [
        item(disruptionsAllowed="2"),
        item(disruptionsAllowed=True),
        item(spec={"selector": "x"}),
        item(spec={"selector": {"matchLabels": {"app": 5}}}),
        item(
            spec={"selector": {"matchExpressions": [{"key": "a", "operator": "In", "values": 5}]}}
        ),
        {**item(), "status": []},
    ],
)
def test_one_that_cannot_be_read_protects_its_whole_namespace(odd: dict[str, Any]) -> None:
    assert budget_record(odd) == BudgetRecord(namespace="plant", name="b", selector=(), allowed=0)
