"""What pods can make the extender keep is bounded, however many and long its annotations."""

import json

from extender.cache.workloads import Contract, ObservedPod, WorkloadCache
from k40s.annotations import CRITICALITY_KEY, NETWORK_KEY, TASKS_KEY
from k40s.annotations.network import MAX_NETWORK_TEXT
from k40s.annotations.workload import MAX_TASKS_TEXT


def annotations(padding: int) -> dict[str, str]:
    tasks = [{"name": "t", "period": "100ms", "wcet": "1ms"}]
    return {CRITICALITY_KEY: "LOW", TASKS_KEY: json.dumps(tasks) + " " * padding}


def seen(uid: str, contract: Contract) -> ObservedPod:
    return ObservedPod(
        uid=uid, namespace="default", name=uid, resource_version="1", contract=contract
    )


def test_a_text_that_is_too_long_is_refused_and_not_kept() -> None:
    contract = WorkloadCache().read(
        labels={}, annotations=annotations(200_000), containers=("main",)
    )

    assert contract.workload is None
    assert "expected at most 16384 characters" in contract.fault
    assert sum(len(part) for part in contract.signature if part) < MAX_TASKS_TEXT + 100


def test_the_oldest_contracts_are_evicted_where_the_texts_are_long() -> None:
    workloads = WorkloadCache(characters=5_000)
    contract = workloads.read(labels={}, annotations=annotations(950), containers=("main",))

    for number in range(8):
        workloads.put(seen(f"u{number}", contract))

    assert [workloads.get(f"u{number}") is not None for number in range(8)] == [
        *[False] * 3,
        *[True] * 5,
    ]


def test_what_is_put_again_or_removed_counts_once() -> None:
    workloads = WorkloadCache(characters=5_000)
    one, two = (
        workloads.read(labels={}, annotations=annotations(padding), containers=("main",))
        for padding in (950, 951)
    )
    for _ in range(10):
        workloads.put(seen("u", one))
        workloads.put(seen("u", two))
    workloads.put(seen("v", one))
    workloads.remove("v")
    for number in range(3):
        workloads.put(seen(f"u{number}", one))

    found = workloads.get("u")
    assert found is not None
    assert found.contract is two


def test_requirements_of_networks_that_are_too_long_are_refused_and_not_kept() -> None:
    needs = json.dumps([{"network": "lan", "peer": "a", "delay": "1ms"}]) + " " * 200_000

    contract = WorkloadCache().read(
        labels={}, annotations={NETWORK_KEY: needs}, containers=("main",)
    )

    assert contract.workload is None
    assert f"expected at most {MAX_NETWORK_TEXT} characters" in contract.fault
    assert seen("u", contract).length == MAX_NETWORK_TEXT + 1
