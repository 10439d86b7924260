"""Views of a cluster that is followed by watches."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from k40s.http.client import HttpClient
from k40s.kube.gateway import KubeGateway
from k40s.kube.observation import Scope
from k40s.kube.transport import ApiTransport
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.kube.api_server import Answer, FakeApiServer, serving
from tests.fakes.observed_cluster import node_item
from workbench.live_cluster.follow import follow
from workbench.live_cluster.look import ClusterLook


@pytest.fixture
def api() -> Iterator[FakeApiServer]:
    with serving() as server:
        yield server


@pytest.fixture
def gateway(api: FakeApiServer) -> Iterator[KubeGateway]:
    client = HttpClient(
        base_url=f"http://127.0.0.1:{api.port}",
        authorization=lambda: "bearer secret-token",
        timeout=Nanoseconds(20 * NS_PER_S),
    )
    yield KubeGateway(ApiTransport(client))
    client.close()


def test_a_change_of_a_watched_node_is_in_a_later_view(
    api: FakeApiServer, gateway: KubeGateway
) -> None:
    ready = {"metadata": {"resourceVersion": "1"}, "items": [node_item("edge")]}
    change = {"type": "MODIFIED", "object": node_item("edge", ready=False)}
    watch = Answer(lines=[json.dumps(change).encode() + b"\n"])
    api.answer("GET", "/api/v1/nodes", Answer(body=ready), Answer(body=ready), watch)
    look = ClusterLook(
        gateway,
        Scope(system="k40s-system", namespace="plant"),
        wall=lambda: datetime.now(UTC),
        own_namespace="plant",
    )
    stop = threading.Event()

    seen = []
    for view in follow(look, stop=stop):
        seen.append(view.overview.nodes[0].ready)
        if not seen[-1]:
            stop.set()

    assert seen[0]
    assert not seen[-1]


def test_a_view_says_that_it_may_be_old_while_the_server_does_not_answer(
    api: FakeApiServer, gateway: KubeGateway
) -> None:
    ready = {"metadata": {"resourceVersion": "1"}, "items": [node_item("edge")]}
    away = Answer(status=503)
    api.answer("GET", "/api/v1/nodes", Answer(body=ready), Answer(body=ready), away, away, away)
    scope = Scope(system="k40s-system", namespace="plant")
    look = ClusterLook(gateway, scope, wall=lambda: datetime.now(UTC), own_namespace="plant")
    stop = threading.Event()

    stale = []
    for view in follow(look, stop=stop):
        stale.append(view.stale)
        if view.stale:
            stop.set()

    assert not stale[0]
    assert stale[-1]
