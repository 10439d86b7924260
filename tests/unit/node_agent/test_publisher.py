import pytest

from k40s.errors import UnavailableError
from k40s.node_agent.publisher import Publisher
from k40s.units import NS_PER_S, Nanoseconds
from tests.fakes.node_agent import FakeCluster


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def publisher(cluster: FakeCluster) -> Publisher:
    return Publisher(
        gateway=cluster,
        node="edge-1",
        lease_namespace="k40s-system",
        lease_name="malacoda-edge-1",
        lease=Nanoseconds(30 * NS_PER_S),
    )


def test_writes_on_change_only(publisher: Publisher, cluster: FakeCluster) -> None:
    written = [publisher.publish(annotations={"a": text}, labels={"l": "x"}) for text in "112"]

    assert written == [True, False, True]
    assert cluster.writes == 2
    assert (cluster.annotations, cluster.labels) == ({"a": "2"}, {"l": "x"})


def test_removes_a_key_once(publisher: Publisher, cluster: FakeCluster) -> None:
    publisher.publish(annotations={"a": "1"})

    written = [publisher.publish(annotations={"a": None}) for _ in range(2)]

    assert written == [True, False]
    assert cluster.annotations == {}


def test_writes_again_after_a_failure(publisher: Publisher, cluster: FakeCluster) -> None:
    cluster.failures = 1

    with pytest.raises(UnavailableError):
        publisher.publish(annotations={"a": "1"})

    assert publisher.publish(annotations={"a": "1"})
    assert cluster.annotations == {"a": "1"}


def test_repairs_what_someone_else_removed(publisher: Publisher, cluster: FakeCluster) -> None:
    publisher.publish(annotations={"a": "1", "b": "2"}, labels={"l": "x"})
    del cluster.annotations["a"]

    whole = publisher.verify(cluster.get_node("edge-1"))
    publisher.publish(annotations={"a": "1", "b": "2"}, labels={"l": "x"})

    assert not whole
    assert cluster.annotations == {"a": "1", "b": "2"}
    assert publisher.verify(cluster.get_node("edge-1"))


def test_forgets_everything_when_the_node_is_gone(
    publisher: Publisher, cluster: FakeCluster
) -> None:
    publisher.publish(annotations={"a": "1"})
    cluster.exists = False

    whole = publisher.verify(cluster.get_node("edge-1"))
    cluster.exists = True

    assert not whole
    assert publisher.publish(annotations={"a": "1"})


def test_beats_on_its_own_lease(publisher: Publisher, cluster: FakeCluster) -> None:
    publisher.beat()

    assert cluster.leases == [("k40s-system", "malacoda-edge-1", "edge-1", 30 * NS_PER_S)]
