"""The controller dies before or after any of its writes, and the next one finishes."""

import pytest

from controller.cluster.pods import PodView
from tests.fakes.controller.cluster import FakeCluster
from tests.fakes.controller.running import Process

WRITES = {"Deployment": 3, "StatefulSet": 2}
"""History, release, eviction; history, eviction."""
CASES = [
    (kind, number, after)
    for kind, count in WRITES.items()
    for number in range(count)
    for after in (False, True)
]


def scene(kind: str, **settings: object) -> FakeCluster:
    cluster = FakeCluster(levels_by_node={"a": 10, "b": 16, "c": 16}, **settings)  # type: ignore[arg-type]  # what the test chooses
    if kind == "Deployment":
        cluster.add_deployment("web", node="a")
    else:
        cluster.add_owner(kind, "web", node="a")
    return cluster


@pytest.mark.parametrize(("kind", "number", "after"), CASES)
def test_no_pod_is_lost_and_none_is_moved_twice(kind: str, number: int, *, after: bool) -> None:
    cluster = scene(kind, crash_at=number, crash_after=after)

    crashed = Process(cluster).crashes(120)
    cluster.crash_at = None
    Process(cluster).run(300)

    (pod,) = cluster.items.values()
    assert crashed
    assert pod["spec"]["nodeName"] in ("b", "c")
    assert pod["metadata"]["ownerReferences"]
    assert [node for _, _, node in cluster.left] == ["a"]
    if kind == "Deployment":
        assert cluster.least_ready == {"rs-web": 1}


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("after", [False, True])
def test_a_move_that_is_given_back_survives_a_crash_too(number: int, *, after: bool) -> None:
    cluster = scene("Deployment", crash_at=number, crash_after=after, never_ready=True)

    crashed = Process(cluster).crashes(400)
    cluster.crash_at = None
    Process(cluster).run(200)
    cluster.pass_time(1)

    (pod,) = cluster.items.values()
    assert crashed
    assert (pod["spec"]["nodeName"], cluster.least_ready) == ("a", {"rs-web": 1})
    assert pod["metadata"]["ownerReferences"]


def test_two_leaders_at_once_begin_one_move() -> None:
    """As after a pause of the machine: the former leader does not know yet."""
    cluster = scene("Deployment")
    first, second = Process(cluster), Process(cluster)

    for _ in range(120):
        for process in (first, second):
            process.migrator.tick()
        cluster.pass_time(1)

    assert [node for _, _, node in cluster.left] == ["a"]
    assert len(cluster.items) == 1


class LateView(FakeCluster):
    """Informers that lag: they show pods as they were some looks ago."""

    def pods(self) -> PodView:
        seen: list[PodView] = self.__dict__.setdefault("seen", [])
        seen.append(super().pods())
        return seen[max(0, len(seen) - 5)]


def test_informers_that_lag_move_nobody_twice() -> None:
    cluster = LateView(levels_by_node={"a": 10, "b": 16})
    cluster.add_deployment("web", node="a", replicas=2)

    Process(cluster).run(300)

    assert [node for _, _, node in cluster.left] == ["a", "a"]
    assert {pod["spec"]["nodeName"] for pod in cluster.items.values()} == {"b"}
    assert cluster.least_ready == {"rs-web": 2}
