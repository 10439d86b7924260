"""The requested CPU against the scheduler's own library, and against what runs at each moment."""

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from k40s.kube.objects.read import pod_record

TABLE = Path(__file__).parents[2] / "fixtures" / "kube" / "pod_requests.jsonl"
"""Random pods, and PodRequests of component-helpers 0.35.4 with UseStatusResources, in millis."""


def millis(spec: dict[str, Any], status: dict[str, Any] | None = None) -> int:
    item = {
        "metadata": {"uid": "u", "namespace": "n", "name": "p"},
        "spec": spec,
        "status": status or {},
    }
    record = pod_record(item)
    assert not record.faults
    return record.cpu_request_millis


def container(name: str, cpu: str | None = None, **more: object) -> dict[str, Any]:
    resources = {} if cpu is None else {"requests": {"cpu": cpu}}
    return {"name": name, "resources": resources, **more}


def sidecar(name: str, cpu: str) -> dict[str, Any]:
    return container(name, cpu, restartPolicy="Always")


def test_counts_what_the_schedulers_own_library_counts() -> None:
    pods = [json.loads(line) for line in TABLE.read_text().splitlines()]

    assert len(pods) == 80
    assert [millis(pod["spec"], pod["status"]) for pod in pods] == [p["millis"] for p in pods]


@pytest.mark.parametrize(
    ("initial", "expected"),
    [
        ([container("i", "2"), sidecar("s", "1")], 2000),
        ([sidecar("s", "1"), container("i", "2")], 3000),
        ([sidecar("s", "1"), container("i", "100m"), sidecar("t", "1")], 2500),
        ([container("i", "1"), container("j", "1")], 1000),
    ],
    ids=["before a sidecar", "beside one", "between two", "one after the other"],
)
def test_an_init_container_runs_with_the_sidecars_before_it(
    initial: list[object], expected: int
) -> None:
    spec = {"containers": [container("c", "500m")], "initContainers": initial}

    assert millis(spec) == expected


def test_overhead_comes_on_top_and_the_pods_own_request_takes_the_place_of_the_sum() -> None:
    spec = {"containers": [container("c", "500m")], "overhead": {"cpu": "250m"}}

    assert millis(spec) == 750
    assert millis({**spec, "resources": {"requests": {"cpu": "100m"}}}) == 350
    assert millis({**spec, "resources": {"requests": {"cpu": "0"}}}) == 250
    assert millis({**spec, "resources": {"requests": {"memory": "1Gi"}}}) == 750


def test_the_sum_is_rounded_once() -> None:
    assert millis({"containers": [container("a", "400u"), container("b", "400u")]}) == 1


def resized(**more: object) -> dict[str, Any]:
    state = {"name": "c", "resources": {"requests": {"cpu": "700m"}}}
    return {"containerStatuses": [{**state, "allocatedResources": {"cpu": "800m"}}], **more}


def test_a_container_that_is_resized_counts_the_most_of_what_it_may_have() -> None:
    infeasible = {"type": "PodResizePending", "reason": "Infeasible"}
    spec = {"containers": [container("c", "2")]}

    assert millis(spec, resized()) == 2000
    assert millis({"containers": [container("c", "100m")]}, resized()) == 800
    assert millis(spec, resized(conditions=[infeasible])) == 800
    assert millis(spec, resized(conditions=[{**infeasible, "reason": "Deferred"}])) == 2000


def moments(initial: list[tuple[int, bool]], running: list[int]) -> Iterable[int]:
    """What runs at once: while each init container starts, and at last everything that stays."""
    started: list[int] = []
    for request, stays in initial:
        yield sum(started) + request
        if stays:
            started.append(request)
    yield sum(started) + sum(running)


def test_a_pod_counts_the_most_that_ever_runs_at_once() -> None:
    dice = random.Random(18)
    for _ in range(500):
        running = [dice.randrange(3000) for _ in range(dice.randint(1, 4))]
        initial = [(dice.randrange(3000), dice.random() < 0.5) for _ in range(dice.randint(0, 5))]
        spec = {
            "containers": [container(f"c{i}", f"{m}m") for i, m in enumerate(running)],
            "initContainers": [
                sidecar(f"i{i}", f"{m}m") if stays else container(f"i{i}", f"{m}m")
                for i, (m, stays) in enumerate(initial)
            ],
        }

        assert millis(spec) == max(moments(initial, running))
