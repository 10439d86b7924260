"""Pods that wait are told of what kube-scheduler does not watch."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from controller.collection.retries import Retries
from k40s.annotations import PLACEMENT_CHANGED_KEY
from k40s.errors import UnavailableError
from k40s.node_agent.backoff import Backoff
from k40s.units import NS_PER_S, Nanoseconds

NODES = frozenset({"edge-1", "edge-2"})
START = datetime(2026, 3, 1, tzinfo=UTC)


class Cluster:
    """Nodes, and a clock that goes on by 3 s with each step."""

    def __init__(self) -> None:
        self.now = 0
        self.written: list[tuple[str, Mapping[str, str | None]]] = []
        self.unavailable = False
        self.during_write: Callable[[], None] = lambda: None
        self.retries = Retries(
            nodes=self,
            backoff=Backoff(pause=Nanoseconds(NS_PER_S), clock=lambda: self.now),
            clock=lambda: self.now,
            wall=lambda: START + timedelta(microseconds=self.now // 1000),
        )

    def patch_node(self, name: str, *, annotations: Mapping[str, str | None]) -> object:
        self.during_write()
        if self.unavailable:
            raise UnavailableError("PATCH node: refused")
        self.written.append((name, annotations))
        return annotations

    def step(self) -> int:
        """Send what is due; how many writes that made."""
        before = len(self.written)
        self.now += 3 * NS_PER_S
        self.retries.send(NODES)
        return len(self.written) - before


def test_a_change_is_written_once_to_one_node_with_its_time() -> None:
    cluster = Cluster()
    cluster.retries.look("tenants", {"line": (1, None)})

    cluster.step()
    cluster.step()

    assert cluster.written == [("edge-1", {PLACEMENT_CHANGED_KEY: "2026-03-01T00:00:03Z"})]


def test_a_kind_does_not_hide_the_change_of_another_of_the_same_name() -> None:
    cluster = Cluster()
    cluster.retries.look("networks", {"line": 1})
    cluster.retries.look("tenants", {"line": 1})
    cluster.step()

    cluster.retries.look("networks", {"line": 1})
    cluster.retries.look("tenants", {"line": 2})

    assert cluster.step() == 1
    cluster.retries.look("networks", {"line": 1})
    cluster.retries.look("tenants", {"line": 2})
    assert cluster.step() == 0


def test_the_end_of_an_object_is_told_where_pods_may_wait_for_it() -> None:
    cluster = Cluster()
    cluster.retries.look("networks", {"plant": 1})
    cluster.retries.look("tenants", {"line": 1}, loss_helps=True)
    cluster.step()

    cluster.retries.look("networks", {})
    without_network = cluster.step()
    cluster.retries.look("tenants", {}, loss_helps=True)

    assert (without_network, cluster.step()) == (0, 1)


def test_what_changes_during_a_write_is_told_by_another() -> None:
    cluster = Cluster()
    cluster.retries.note_freed()
    cluster.during_write = cluster.retries.note_freed
    cluster.step()
    cluster.during_write = lambda: None

    assert cluster.step() == 1
    assert cluster.step() == 0


def test_a_write_that_fails_is_tried_again() -> None:
    cluster = Cluster()
    cluster.retries.note_freed()
    cluster.unavailable = True
    cluster.step()
    cluster.unavailable = False

    assert cluster.step() == 1
