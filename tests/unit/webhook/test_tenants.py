"""What a namespace could never have is refused at apply."""

import pytest

from k40s.annotations import CRITICALITY_KEY, TASKS_KEY
from k40s.criticality import Criticality
from k40s.kube.records import TenantRecord
from k40s.reasons import Reason
from tests.fakes.extender.tenants import make_tenant
from tests.fakes.webhook.reviews import make_body, make_pod, wrap
from webhook.admission_review import Review, parse_review
from webhook.tenants import TenantBounds, validate_within

LOW = Criticality.LOW
LINE = make_tenant("line", ["paint"], cpus="0.5", criticalities=[Criticality.NO, Criticality.LOW])


@pytest.fixture
def bounds() -> TenantBounds:
    bounds = TenantBounds()
    bounds.replace([TenantRecord(state=LINE)])
    return bounds


def pod(criticality: str, wcet: str = "") -> dict[str, object]:
    tasks = f'[{{"name":"t","period":"100ms","wcet":{{"edge":"{wcet}"}}}}]'
    return make_pod({CRITICALITY_KEY: criticality} | ({TASKS_KEY: tasks} if wcet else {}))


def review(item: object, kind: str = "Pod", *, former: object = None, at: str = "paint") -> Review:
    return parse_review(make_body(kind, item, former=former, namespace=at))


def test_a_criticality_that_the_tenant_does_not_allow_is_refused(bounds: TenantBounds) -> None:
    found = validate_within(review(wrap("Deployment", pod("HI")), "Deployment"), bounds)

    assert found.refusal == (
        "spec.template: tenant.criticality: found criticality HI, "
        "but Tenant line allows namespace paint NO, LOW"
    )


def test_a_pod_larger_than_the_whole_bound_is_refused(bounds: TenantBounds) -> None:
    found = validate_within(review(pod("LOW", "60ms")), bounds).refusal

    assert found == (
        "tenant.bandwidth: its tasks need 0.6 CPUs, but Tenant line allows namespace paint 0.5"
    )


def test_what_might_fit_is_left_to_the_scheduler(bounds: TenantBounds) -> None:
    assert validate_within(review(pod("LOW", "50ms")), bounds).refusal == ""


def test_a_pod_that_another_scheduler_places_is_left_to_it() -> None:
    bounds = TenantBounds()
    bounds.replace([TenantRecord(state=make_tenant("line", ["paint"], criticalities=[LOW]))])
    foreign, ours, demanding = pod("NO"), pod("NO"), pod("HI")
    ours["spec"]["schedulerName"] = "k40s-scheduler"  # type: ignore[index]  # as JSON

    found = [validate_within(review(one), bounds).refusal for one in (foreign, ours, demanding)]

    assert [bool(one) for one in found] == [False, True, True]


def test_other_namespaces_have_no_bounds(bounds: TenantBounds) -> None:
    assert validate_within(review(pod("HI", "90ms"), at="weld"), bounds).refusal == ""


def test_an_update_is_refused_for_what_is_new_alone(bounds: TenantBounds) -> None:
    same = validate_within(review(pod("HI"), former=pod("HI")), bounds)
    worse = validate_within(review(pod("HI"), former=pod("LOW")), bounds)

    assert (same.refusal, worse.refusal != "") == ("", True)


def test_a_fault_of_the_annotations_comes_first(bounds: TenantBounds) -> None:
    assert "invalid-annotation" in validate_within(review(pod("MID")), bounds).refusal


def test_bounds_follow_the_watch(bounds: TenantBounds) -> None:
    rival = TenantRecord(state=make_tenant("rival", ["paint"]))
    bounds.upsert(rival)
    both = validate_within(review(pod("LOW")), bounds).refusal
    bounds.delete("line")
    bounds.delete("rival")

    assert both.startswith("tenant.invalid: ")
    assert validate_within(review(pod("HI")), bounds).refusal == ""


def test_a_bound_of_no_hi_pods_refuses_one() -> None:
    none = TenantBounds()
    none.merge([TenantRecord(state=make_tenant("line", ["paint"], hi_pods=0))])

    assert validate_within(review(pod("HI")), none).refusal == (
        "tenant.hi-pods: found criticality HI, but Tenant line allows namespace paint no HI pods"
    )


def in_class(criticality: str, runtime_class: str = "") -> dict[str, object]:
    one = pod(criticality)
    if runtime_class:
        one["spec"]["runtimeClassName"] = runtime_class  # type: ignore[index]  # as JSON
    return one


def test_a_runtime_class_other_than_the_criticality_needs_is_refused_as_the_extender_does() -> None:
    classes, bounds = {Criticality.HI: "kata"}, TenantBounds()
    text = f"{Reason.ISOLATION_CLASS.value}: {Reason.ISOLATION_CLASS.text}"

    refused = validate_within(review(in_class("HI", "runc")), bounds, classes).refusal
    template = wrap("Job", in_class("HI", "runc"))

    assert refused == text
    assert validate_within(review(template, "Job"), bounds, classes).refusal == (
        f"spec.template: {text}"
    )


def test_a_right_or_missing_runtime_class_and_one_that_nobody_asks_for_are_let_through() -> None:
    classes, bounds = {Criticality.HI: "kata"}, TenantBounds()
    pods = [in_class("HI", "kata"), in_class("HI"), in_class("LOW", "runc")]

    assert [validate_within(review(one), bounds, classes).refusal for one in pods] == [""] * 3
    assert validate_within(review(in_class("HI", "runc")), bounds).refusal == ""


def test_a_stored_pod_of_another_class_can_be_updated() -> None:
    classes, bounds = {Criticality.HI: "kata"}, TenantBounds()
    stored = in_class("HI", "runc")

    found = validate_within(review(stored, former=stored), bounds, classes)

    assert found.refusal == ""
