"""Whose bounds hold for a namespace, and what is refused before a pod exists."""

from fractions import Fraction

from k40s.criticality import Criticality
from k40s.reasons import Reason
from k40s.tenants.assignment import Assignment
from k40s.tenants.at_apply import refuse_at_apply
from k40s.tenants.model import Need
from tests.fakes.extender.tenants import make_tenant

BROKEN = make_tenant("broken", ["weld"], fault="spec.bandwidth: found 1, expected CPUs")


def need(namespace: str, criticality: Criticality, bandwidth: str = "0") -> Need:
    return Need(
        uid="new", namespace=namespace, criticality=criticality, bandwidth=Fraction(bandwidth)
    )


def test_a_namespace_has_the_tenant_that_names_it() -> None:
    line, default = make_tenant("line", ["paint", "weld"]), make_tenant("default")

    found = Assignment.of([default, line])

    assert (found.find("paint"), found.find("other")) == (line, default)


def test_without_a_tenant_there_are_no_bounds() -> None:
    assert Assignment.of([make_tenant("line", ["paint"])]).find("other") is None


def test_two_tenants_of_one_namespace_refuse_its_pods_alone() -> None:
    one, two = make_tenant("one", ["paint", "weld"]), make_tenant("two", ["paint"])

    found = Assignment.of([one, two])

    assert found.find("paint") is Reason.TENANT_INVALID
    assert found.find("weld") == one
    assert found.rivals == {"one": {"paint"}, "two": {"paint"}}


def test_a_tenant_with_a_fault_refuses_its_pods() -> None:
    assert Assignment.of([BROKEN]).find("weld") is Reason.TENANT_INVALID


def test_a_tenant_of_unknown_namespaces_refuses_whatever_no_other_names() -> None:
    unknown = make_tenant("default", fault="spec: found 5, expected an object")
    line = make_tenant("line", ["paint"])

    found = Assignment.of([unknown, line])

    assert (found.find("paint"), found.find("other")) == (line, Reason.TENANT_INVALID)


def test_a_template_is_refused_that_its_namespace_may_never_have() -> None:
    line = make_tenant("line", ["paint"], cpus="0.5", criticalities=[Criticality.LOW])
    found = Assignment.of([line, BROKEN])

    def refuse(namespace: str, criticality: Criticality, bandwidth: str = "0") -> Reason | None:
        return refuse_at_apply(found, need(namespace, criticality, bandwidth))

    assert refuse("paint", Criticality.HI) is Reason.TENANT_CRITICALITY
    assert refuse("paint", Criticality.LOW, "0.6") is Reason.TENANT_BANDWIDTH
    assert refuse("paint", Criticality.LOW, "0.5") is None
    assert refuse("weld", Criticality.LOW) is Reason.TENANT_INVALID
    assert refuse("other", Criticality.HI, "9") is None
