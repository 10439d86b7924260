"""In-tree filters, as far as the controller knows them."""

from typing import Any

import pytest

from k40s.assurance.migration.placement import Misfit, find_misfit
from k40s.kube.objects.scheduling import node_offer, pod_constraints

NODE: dict[str, Any] = {
    "metadata": {"name": "a", "labels": {"zone": "x", "cores": "8"}},
    "status": {"allocatable": {"cpu": "2"}},
}


def node(**spec: object) -> dict[str, Any]:
    return {**NODE, "spec": spec}


def affinity(*terms: dict[str, Any]) -> dict[str, Any]:
    required = {"nodeSelectorTerms": list(terms)}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


def misfit(spec: dict[str, Any], item: dict[str, Any] = NODE, requested: int = 0) -> Misfit | None:
    wanted, fault = pod_constraints({"spec": {"containers": [{"name": "c"}], **spec}})
    assert fault == ""
    return find_misfit(wanted, node_offer(item), requested)


def test_a_pod_that_asks_for_nothing_fits() -> None:
    assert misfit({}) is None


@pytest.mark.parametrize(("zone", "found"), [("x", None), ("y", Misfit.SELECTOR)])
def test_the_node_selector_has_to_match(zone: str, found: Misfit | None) -> None:
    assert misfit({"nodeSelector": {"zone": zone}}) is found


@pytest.mark.parametrize(
    ("term", "fits"),
    [
        (expression("zone", "In", "x", "y"), True),
        (expression("zone", "In", "y"), False),
        (expression("zone", "NotIn", "y"), True),
        (expression("zone", "NotIn", "x"), False),
        (expression("zone", "Exists"), True),
        (expression("none", "Exists"), False),
        (expression("none", "DoesNotExist"), True),
        (expression("zone", "DoesNotExist"), False),
        (expression("cores", "Gt", "7"), True),
        (expression("cores", "Gt", "8"), False),
        (expression("cores", "Lt", "9"), True),
        (expression("zone", "Lt", "9"), False),
        (expression("cores", "Gt"), False),
        (expression("zone", "Later"), True),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}, True),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}, False),
        ({}, False),
    ],
)
def test_a_term_of_the_required_affinity(term: dict[str, Any], *, fits: bool) -> None:
    assert (misfit({"affinity": affinity(term)}) is None) is fits


def test_one_of_several_terms_suffices_and_preferred_ones_do_not_count() -> None:
    terms = expression("zone", "In", "y"), expression("zone", "In", "x")
    preferred = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{}]}}

    assert misfit({"affinity": affinity(*terms)}) is None
    assert misfit({"affinity": preferred}) is None


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        (None, False),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "value": "w"}, False),
        ({"key": "k", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"value": "v"}, False),
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "k", "operator": "Exists", "effect": "NoSchedule"}, True),
    ],
)
def test_a_taint_has_to_be_tolerated(toleration: dict[str, Any] | None, *, fits: bool) -> None:
    tainted = node(taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}])
    spec = {"tolerations": [toleration]} if toleration else {}

    assert (misfit(spec, tainted) is None) is fits


def test_a_taint_that_only_prefers_keeps_nobody_away() -> None:
    assert misfit({}, node(taints=[{"key": "k", "effect": "PreferNoSchedule"}])) is None


@pytest.mark.parametrize(("requested", "found"), [(1000, None), (1001, Misfit.CPU)])
def test_the_cpu_request_has_to_fit(requested: int, found: Misfit | None) -> None:
    container = {"name": "c", "resources": {"requests": {"cpu": "1"}}}

    assert misfit({"containers": [container]}, requested=requested) is found


def test_a_pod_without_a_request_fits_on_a_full_node() -> None:
    assert misfit({}, requested=9000) is None


def test_constraints_that_cannot_be_read_are_named() -> None:
    _, fault = pod_constraints({"spec": {"nodeSelector": "zone=x", "containers": []}})

    assert "spec.nodeSelector" in fault
