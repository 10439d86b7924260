"""The tests' own cluster, with k40s on it: ``test``, beside whatever else is up."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from localcluster.cluster import Cluster
from localcluster.deploy import deploy
from localcluster.errors import LocalClusterError
from localcluster.host.cgroups import read_hierarchies
from localcluster.host.packages import unmet_requirements
from localcluster.host.paths import cache_root
from localcluster.progress import Progress
from localcluster.settings import ClusterSettings
from tests.conftest import SKIP_CLUSTER
from tests.e2e.patience import PATIENCE

_OWN_CLUSTERS = ("test_local_cluster", "test_guest")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with clusters of their own first: they need the CPUs before the session's cluster does.

    A test's timeout is about the test: bringing clusters up has bounds of its own.
    """
    items.sort(key=lambda item: not Path(item.path).name.startswith(_OWN_CLUSTERS))
    here = Path(__file__).parent
    for item in (item for item in items if here in item.path.parents):
        for marker in list(item.iter_markers("timeout"))[:1]:
            bounded = pytest.mark.timeout(PATIENCE * marker.args[0], func_only=True)
            item.add_marker(bounded, append=False)


@pytest.fixture(scope="session")
def machine() -> None:
    """A machine that can run clusters; the tests fail, with instructions, on any other."""
    if os.environ.get(SKIP_CLUSTER) == "1":
        pytest.skip(f"{SKIP_CLUSTER}=1")
    unmet = unmet_requirements()
    if not read_hierarchies().has_real_time_budgets:
        unmet.append("these tests look into budget groups: cgroup v1 with CONFIG_RT_GROUP_SCHED")
    if unmet:
        advice = f"\n(or set {SKIP_CLUSTER}=1 to leave the tests on real clusters out)"
        pytest.fail("\n".join(unmet) + advice, pytrace=False)


@pytest.fixture(scope="session")
def cluster(machine: None, progress: Progress) -> Iterator[Cluster]:
    """A cluster with k40s deployed, made anew for this session and taken down at its end."""
    del machine
    with only_session(cache_root(os.environ) / "test-cluster.lock"):
        made = Cluster(ClusterSettings(name="test"))
        made.down(progress)  # what a session that was killed has left
        try:
            made.up(progress)
            deploy(made, progress=progress)
            yield made
        except LocalClusterError as error:
            pytest.fail(str(error), pytrace=False)
        finally:
            made.down(progress)


@contextmanager
def only_session(lock: Path) -> Iterator[None]:
    """Refuse at once when another test session uses the same cluster."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.fail("another test session uses the cluster 'test'", pytrace=False)
        yield
