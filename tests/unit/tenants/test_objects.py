"""Tenants as the API server has them: values, and faults that name the field."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from k40s.criticality import Criticality
from k40s.errors import InvalidInputError
from k40s.ledger.entry import Owner
from k40s.strict_json import Json
from k40s.tenants.cpus import format_cpus, parse_cpus, round_up
from k40s.tenants.ledger import TenantReservation, format_entries, read_entries
from k40s.tenants.model import Bounds
from k40s.tenants.objects import parse_tenant

UNTIL = datetime(2026, 3, 1, 12, tzinfo=UTC)


def tenant(spec: object, *, name: str = "line", status: object = None) -> dict[str, object]:
    meta = {"name": name, "resourceVersion": "7", "generation": 3}
    return {"metadata": meta, "spec": spec, "status": status}


def test_a_tenant_becomes_its_bounds() -> None:
    spec = {
        "namespaces": ["paint", "weld"],
        "criticalities": ["NO", "LOW"],
        "bandwidth": "1500m",
        "hiPods": 0,
    }

    state = parse_tenant(tenant(spec))

    assert state.fault is None
    assert state.namespaces == frozenset({"paint", "weld"})
    assert state.bounds == Bounds(
        criticalities=frozenset({Criticality.NO, Criticality.LOW}),
        bandwidth=Fraction(3, 2),
        hi_pods=0,
    )
    assert (state.resource_version, state.generation) == ("7", 3)


def test_without_bounds_it_may_have_everything() -> None:
    state = parse_tenant(tenant({}, name="default"))

    assert (state.fault, state.namespaces, state.bounds) == (None, None, Bounds())
    assert state.scope("paint") == {"paint"}


@pytest.mark.parametrize(
    ("name", "spec", "fault"),
    [
        ("line", {}, "spec: found neither, expected namespaces, or the name default"),
        ("default", {"namespaces": ["a"]}, "spec: found both"),
        ("line", {"namespaces": ["A"]}, "spec.namespaces[0]: found 'A', expected a name"),
        ("line", {"namespaces": ["a", "a"]}, "spec.namespaces[1]: found 'a', expected each"),
        ("line", {"namespaces": ["a"], "bandwidth": 1.5}, "spec.bandwidth: found 1.5"),
        ("line", {"namespaces": ["a"], "bandwidth": "1.5m"}, "spec.bandwidth: found '1.5m'"),
        ("line", {"namespaces": ["a"], "hiPods": -1}, "spec.hiPods: found -1"),
        ("line", {"namespaces": ["a"], "criticalities": ["MID"]}, "spec.criticalities[0]: found"),
        ("line", {"namespaces": ["a"], "cpu": "1"}, "spec.cpu"),
        ("line", None, "spec: found null"),
    ],
)
def test_a_fault_names_the_field(name: str, spec: object, fault: str) -> None:
    found = parse_tenant(tenant(spec, name=name)).fault

    assert found is not None
    assert found.startswith(fault)


def test_a_tenant_with_a_fault_still_says_whose_it_is() -> None:
    state = parse_tenant(tenant({"namespaces": ["paint"], "bandwidth": "much"}))

    assert (state.namespaces, state.fault is None) == (frozenset({"paint"}), False)


def test_entries_are_read_back_as_they_were_written() -> None:
    entries = (
        TenantReservation(
            owner=Owner(uid="u", namespace="paint", name="arm"),
            node="edge-1",
            attempt="a",
            until=UNTIL,
            criticality=Criticality.HI,
            bandwidth=Fraction(333_333_334, 10**9),
        ),
        TenantReservation(
            owner=Owner(uid="v", namespace="paint", name="log"),
            node="edge-1",
            criticality=Criticality.HI,
        ),
    )
    place = Json(value=format_entries(entries), source="s", error=InvalidInputError, path="p")

    assert read_entries(place) == entries


def test_a_pod_twice_on_a_node_is_a_fault() -> None:
    one = TenantReservation(
        owner=Owner(uid="u", namespace="a", name="p"), node="n", criticality=Criticality.HI
    )
    status = {"reservations": format_entries([one, one])}

    fault = parse_tenant(tenant({"namespaces": ["a"]}, status=status)).fault

    assert fault == "status.reservations[1].pod: found u again, expected each pod once on a node"


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.5", Fraction(3, 2)), ("250m", Fraction(1, 4)), ("0", Fraction(0)), ("007", Fraction(7))],
)
def test_cpus_are_decimal_text(text: str, value: Fraction) -> None:
    assert parse_cpus(text) == value
    assert parse_cpus(format_cpus(value)) == value


@pytest.mark.parametrize("text", ["", "-1", "1.", ".5", "1.5m", "1e3", "1 ", "1u"])
def test_other_text_is_not_cpus(text: str) -> None:
    with pytest.raises(ValueError, match="not CPUs"):
        parse_cpus(text)


def test_bandwidth_is_rounded_up() -> None:
    assert format_cpus(round_up(Fraction(1, 3))) == "0.333333334"
