"""Watched Tenants and bound pods: whose bounds hold, and what counts against them."""

import pytest

from extender.cache.tenants import TenantTable
from extender.cache.workloads import WorkloadCache
from k40s.annotations import CRITICALITY_KEY
from k40s.kube.records import PodRecord, TenantRecord
from k40s.tenants.ledger import TenantState
from tests.fakes.extender.tenants import make_tenant
from tests.fakes.extender.world import make_pod_record


class Listener:
    def __init__(self) -> None:
        self.changes = 0

    def __call__(self) -> None:
        self.changes += 1


@pytest.fixture
def heard() -> Listener:
    return Listener()


@pytest.fixture
def table(heard: Listener) -> TenantTable:
    return TenantTable(workloads=WorkloadCache(), on_change=heard)


def high(uid: str, *, node: str = "n", phase: str = "Running") -> PodRecord:
    notes = {CRITICALITY_KEY: "HI"}
    return make_pod_record(uid, node=node, phase=phase, annotations=notes)


def used(table: TenantTable) -> list[str]:
    state = table.find("default")
    assert isinstance(state, TenantState)
    return sorted(table.usage(state, "default").needs)


def test_bound_pods_that_count_are_kept_until_they_end(table: TenantTable) -> None:
    table.feed.replace([TenantRecord(state=make_tenant())])
    low = make_pod_record("low", node="n", annotations={CRITICALITY_KEY: "LOW"})
    odd = make_pod_record("odd", node="n", annotations={CRITICALITY_KEY: "MID"})
    table.pods.replace([high("a"), high("b"), high("c", node=""), low, odd])

    before = used(table)
    table.pods.upsert(high("a", phase="Failed"))
    table.pods.delete("unknown")

    assert (before, used(table)) == (["a", "b"], ["b"])
    table.pods.replace([])
    assert used(table) == []


def test_an_answer_is_kept_while_nothing_changes(table: TenantTable) -> None:
    table.feed.replace([TenantRecord(state=make_tenant())])
    table.pods.merge([high("a")])
    state = table.find("default")
    assert isinstance(state, TenantState)

    first = table.usage(state, "default")
    table.pods.upsert(high("a"))

    assert table.usage(state, "default") is first
    assert [need.uid for need in table.bound(state, "default")] == ["a"]


def test_a_pod_that_ends_is_news_only_where_there_are_tenants(
    table: TenantTable, heard: Listener
) -> None:
    table.pods.merge([high("a"), high("b")])
    table.pods.delete("a")
    without = heard.changes
    table.feed.upsert(TenantRecord(state=make_tenant()))
    table.pods.delete("b")

    assert (without, heard.changes) == (0, 2)


def test_its_names_are_one_set_that_others_may_hold(table: TenantTable) -> None:
    names = table.names
    table.feed.replace([TenantRecord(state=make_tenant("one"))])
    table.feed.upsert(TenantRecord(state=make_tenant("two", ["b"])))
    both = set(names)
    table.feed.delete("one")
    table.feed.delete("two")

    assert (both, names) == ({"one", "two"}, set())
