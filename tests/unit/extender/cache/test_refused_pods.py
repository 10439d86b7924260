"""Pods that every node refused, within a bound of memory."""

from extender.cache.refused_pods import RefusedPods
from extender.cache.workloads import WorkloadCache
from extender.protocol import PodFacts

CONTRACT = WorkloadCache().read(labels={}, annotations={}, containers=("main",))


def make_facts(uid: str) -> PodFacts:
    return PodFacts(
        uid=uid,
        namespace="default",
        name=uid,
        labels={"app": "x"},
        annotations={"note": "y" * 1000},
        containers=("main",),
        runtime_class="kata",
    )


def put(table: RefusedPods, uid: str, *names: str) -> None:
    table.put(make_facts(uid), CONTRACT, list(names))


def test_the_last_call_is_kept_without_what_users_may_fill() -> None:
    table = RefusedPods()
    put(table, "u", "a", "b")
    put(table, "u", "b")

    kept = table.find("u")
    assert kept is not None
    assert (kept.names, kept.contract) == (["b"], CONTRACT)
    assert (kept.pod.labels, kept.pod.annotations, kept.pod.runtime_class) == ({}, {}, "kata")


def test_the_oldest_are_forgotten_when_there_are_too_many_pods() -> None:
    table = RefusedPods(pods=2)
    for uid in ("a", "b", "a", "c"):
        put(table, uid, "n")

    assert [table.find(uid) is not None for uid in "abc"] == [True, False, True]


def test_the_oldest_are_forgotten_when_there_are_too_many_names() -> None:
    table = RefusedPods(names=5)
    put(table, "a", "1", "2", "3")
    put(table, "b", "4", "5", "6")

    assert table.find("a") is None
    assert table.find("b") is not None


def test_equal_lists_in_a_row_are_kept_once() -> None:
    table = RefusedPods(names=3)
    for number in range(10):
        put(table, str(number), "1", "2", "3")

    assert all(table.find(str(number)) is not None for number in range(10))
    put(table, "other", "4")
    assert [table.find(str(number)) for number in range(10)] == [None] * 10
    assert table.find("other") is not None


def test_a_list_longer_than_the_bound_is_not_kept() -> None:
    table = RefusedPods(names=2)
    put(table, "a", "1", "2", "3")

    assert table.find("a") is None
