"""What a Tenant's status says, and entries for pods that were there before it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from k40s.criticality import Criticality
from k40s.ledger.collection import CollectionPlan, Fate, Removal
from k40s.ledger.conditions import Truth
from k40s.ledger.entry import Owner
from k40s.tenants.adoption import adopt
from k40s.tenants.assignment import Assignment
from k40s.tenants.ledger import TenantReservation, TenantState
from k40s.tenants.summary import TenantSummary, summarize
from tests.fakes.extender.tenants import make_tenant

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def entry(uid: str, namespace: str = "paint", *, cpus: str = "0.5") -> TenantReservation:
    return TenantReservation(
        owner=Owner(uid=uid, namespace=namespace, name=uid),
        node="n",
        criticality=Criticality.HI,
        bandwidth=Fraction(cpus),
    )


def say(state: TenantState, *entries: TenantReservation, **others: object) -> TenantSummary:
    facts: dict[str, object] = {"rivals": (), "former": TenantSummary(), "now": NOW}
    return summarize(state, entries, **(facts | others))  # type: ignore[arg-type]


def test_it_says_what_is_used_together() -> None:
    state = make_tenant("line", ["paint", "weld"], cpus="2")

    said = say(state, entry("a"), entry("b", "weld", cpus="0.25"), entry("c", "foreign"))

    assert (said.bandwidth, said.hi_pods) == ("0.75", 2)
    assert said.usage == (
        "paint: 0.5 CPUs, 1 HI pods, 1 pods",
        "weld: 0.25 CPUs, 1 HI pods, 1 pods",
    )
    assert said.conditions["WithinBounds"].status is Truth.TRUE


def test_of_the_default_it_says_the_most_of_any_namespace() -> None:
    said = say(make_tenant("default", cpus="0.6"), entry("a"), entry("b", "weld"), entry("c"))

    assert said.bandwidth == "1"
    assert said.conditions["WithinBounds"].reason == "Exceeded"


def test_it_says_which_namespaces_another_one_names() -> None:
    valid = say(make_tenant(), rivals=["weld", "paint"]).conditions["Valid"]

    assert (valid.status, valid.reason) == (Truth.FALSE, "NamespaceTwice")
    assert valid.message == "spec.namespaces: another Tenant names paint, weld too"


def test_it_says_the_fault() -> None:
    valid = say(make_tenant(fault="spec.hiPods: found -1")).conditions["Valid"]

    assert (valid.reason, valid.message) == ("InvalidField", "spec.hiPods: found -1")


def test_a_condition_keeps_the_time_of_its_last_change() -> None:
    former = say(make_tenant())

    later = say(make_tenant(), former=former, now=NOW + timedelta(hours=1))

    assert later == former


def test_of_entries_that_cannot_be_read_nothing_new_is_said() -> None:
    former = say(make_tenant("line", ["paint"]), entry("a"))

    said = summarize(
        make_tenant("line", ["paint"], fault="status"), None, rivals=(), former=former, now=NOW
    )

    assert (said.bandwidth, said.conditions["Valid"].status) == ("0.5", Truth.FALSE)


def test_lines_end_before_the_status_is_too_long() -> None:
    said = say(make_tenant("default"), *(entry(f"u{n}", f"n{n}") for n in range(200)))

    assert (len(said.usage), said.usage[-1]) == (129, "and 72 more")


LINE = make_tenant("line", ["paint"])
ASSIGNED = Assignment.of([LINE])
BOUND = {"paint": [entry("a"), entry("b")], "foreign": [entry("c", "foreign")]}


def test_bound_pods_without_an_entry_get_one() -> None:
    plan = adopt(CollectionPlan(reservations=(entry("a"),)), "line", ASSIGNED, BOUND)

    assert [one.owner.uid for one in plan.reservations] == ["a", "b"]
    assert (plan.added, plan.changes) == (1, True)


def test_a_pod_that_was_just_removed_is_not_taken_up_again() -> None:
    removed = (Removal(reservation=entry("b"), fate=Fate.GONE),)
    plan = CollectionPlan(reservations=(entry("a"),), removed=removed)

    assert adopt(plan, "line", ASSIGNED, BOUND) == plan


def test_a_tenant_with_a_rival_takes_up_nothing() -> None:
    rivals = Assignment.of([LINE, replace(LINE, name="other")])

    assert not adopt(CollectionPlan(reservations=()), "line", rivals, BOUND).changes
