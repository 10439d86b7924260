"""Any one request of a move fails, before or after it has had its effect."""

from typing import Any

import pytest

from k40s.errors import UnavailableError
from k40s.kube.transport import RefusedError, TooManyRequestsError
from tests.fakes.controller.cluster import FakeCluster
from tests.fakes.controller.running import Process

CALLS = ("pod", "nodes", "replica_set", "deployment", "service_selectors", "ask", "mark", "evict")
ERRORS = (UnavailableError, RefusedError, TooManyRequestsError)


def fail(cluster: FakeCluster, call: str, error: type[Exception], *, after: bool) -> list[str]:
    """Make the first such call fail; returns what has failed."""
    failed: list[str] = []
    method = getattr(cluster, call)

    def failing(*arguments: object, **named: object) -> Any:  # noqa: ANN401  # of any call
        if failed:
            return method(*arguments, **named)
        failed.append(call)
        if after:
            method(*arguments, **named)
        raise error(call)

    setattr(cluster, call, failing)
    return failed


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
@pytest.mark.parametrize("call", [*CALLS, "annotate"])
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("after", [False, True])
def test_one_failed_request_loses_no_pod_and_moves_none_twice(
    kind: str, call: str, error: type[Exception], *, after: bool
) -> None:
    cluster = FakeCluster(levels_by_node={"a": 10, "b": 16, "c": 16})
    if kind == "Deployment":
        cluster.add_deployment("web", node="a")
    else:
        cluster.add_owner(kind, "web", node="a")
    failed = fail(cluster, call, error, after=after)

    Process(cluster).run(300)

    (pod,) = cluster.items.values()
    assert failed or kind == "StatefulSet"
    assert pod["spec"]["nodeName"] in ("b", "c")
    assert pod["metadata"]["ownerReferences"]
    assert [node for _, _, node in cluster.left] == ["a"]
    if kind == "Deployment":
        assert cluster.least_ready == {"rs-web": 1}
