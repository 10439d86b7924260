"""The mutating review: what is filled in, and where a pod's own choice stays."""

from typing import Any

import pytest

from k40s.criticality import Criticality
from tests.fakes.webhook.reviews import make_pod, make_review, wrap
from webhook.admission_review import JsonPatch
from webhook.defaults import Defaults, fill_in, parse_tolerations

HI, LOW = {"k40s.io/criticality": "HI"}, {"k40s.io/criticality": "LOW"}
CLASSES = {Criticality.HI: "k40s-hi", Criticality.LOW: "k40s-low"}
SCHEDULER = {"op": "add", "path": "/spec/schedulerName", "value": "k40s-scheduler"}


def patch_of(pod: dict[str, Any], defaults: Defaults, *, former: object = None) -> JsonPatch:
    return fill_in(make_review("Pod", pod, former=former), defaults).patch


@pytest.mark.parametrize(
    "annotations",
    [HI, LOW, {"k40s.io/network": "[]"}, {"k40s.io/tasks": "["}, {"k40s.io/criticality": "high"}],
)
def test_a_demanding_pod_goes_to_our_scheduler_even_if_it_is_wrong(
    annotations: dict[str, str],
) -> None:
    assert patch_of(make_pod(annotations), Defaults(scheduler=True)) == (SCHEDULER,)


@pytest.mark.parametrize("annotations", [{}, {"k40s.io/criticality": "NO"}, {"other": "x"}])
def test_a_pod_without_demands_stays_where_it_is(annotations: dict[str, str]) -> None:
    every = Defaults(scheduler=True, priority_classes=CLASSES)

    assert patch_of(make_pod(annotations), every) == ()


def test_a_scheduler_that_was_chosen_stays() -> None:
    pod = make_pod(HI)
    pod["spec"]["schedulerName"] = "other"

    assert patch_of(pod, Defaults(scheduler=True)) == ()


def test_the_class_replaces_the_priority_that_was_computed_without_it() -> None:
    patch = patch_of(make_pod(labels=LOW), Defaults(priority_classes=CLASSES))

    assert patch == (
        {"op": "remove", "path": "/spec/priority"},
        {"op": "remove", "path": "/spec/preemptionPolicy"},
        {"op": "add", "path": "/spec/priorityClassName", "value": "k40s-low"},
    )


def test_a_class_that_was_chosen_stays() -> None:
    pod = make_pod(HI)
    pod["spec"] |= {"priorityClassName": "mine", "runtimeClassName": "mine"}

    every = Defaults(priority_classes=CLASSES, runtime_classes={Criticality.HI: "kata"})
    assert patch_of(pod, every) == ()


def test_the_runtime_class_goes_by_criticality() -> None:
    classes = Defaults(runtime_classes={Criticality.HI: "kata"})

    added = {"op": "add", "path": "/spec/runtimeClassName", "value": "kata"}
    assert patch_of(make_pod(HI), classes) == (added,)
    assert patch_of(make_pod(LOW), classes) == ()


def test_tolerations_are_added_to_those_that_are_there() -> None:
    defaults = Defaults(tolerations=parse_tolerations(("HI=a=b:NoSchedule", "HI=c")))
    first, second = defaults.tolerations[Criticality.HI]
    pod = make_pod(HI)
    assert patch_of(pod, defaults) == (
        {"op": "add", "path": "/spec/tolerations", "value": [first, second]},
    )

    pod["spec"]["tolerations"] = [first]

    assert patch_of(pod, defaults) == (
        {"op": "add", "path": "/spec/tolerations/-", "value": second},
    )
    assert first == {"key": "a", "operator": "Equal", "value": "b", "effect": "NoSchedule"}
    assert second == {"key": "c", "operator": "Exists"}


@pytest.mark.parametrize("text", ["HI", "hi=a", "HI=", "HI=a:Never", "HI=a=b=c", "HIGH=a"])
def test_a_toleration_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="K40S_DEFAULT_TOLERATIONS: found"):
        parse_tolerations((text,))


def test_templates_updates_and_pods_with_a_node_stay_as_they_are() -> None:
    every = Defaults(scheduler=True, priority_classes=CLASSES)
    placed = make_pod(HI)
    placed["spec"]["nodeName"] = "n"

    assert patch_of(placed, every) == ()
    assert patch_of(make_pod(HI), every, former=make_pod(HI)) == ()
    assert fill_in(make_review("Job", wrap("Job", make_pod(HI))), every).patch == ()


def test_an_unreadable_pod_gets_no_class() -> None:
    broken = make_pod({"k40s.io/criticality": "HI", "k40s.io/tasks": "["})

    assert patch_of(broken, Defaults(priority_classes=CLASSES)) == ()
    assert patch_of({"metadata": {"annotations": HI}}, Defaults(scheduler=True)) == ()
