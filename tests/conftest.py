"""What every kind of test may use, and what is built before the first test starts."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from localcluster.errors import LocalClusterError
from localcluster.host.packages import unmet_requirements
from localcluster.host.paths import cache_root
from localcluster.images.binaries import Binaries, ensure_binaries, kubernetes_version
from localcluster.images.cluster_images import ImageStore
from localcluster.images.schedulers import ensure_scheduler
from localcluster.progress import Progress

SKIP_CLUSTER = "K40S_SKIP_CLUSTER"
_CLUSTER_TESTS = Path(__file__).parent / "e2e"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which kube-scheduler a control plane of the tests runs, and which kernels guests boot."""
    parser.addoption(
        "--every-kernel",
        action="store_true",
        help="in tests of guest time, all scenes on each of Debian's kernels, not a few on one",
    )
    parser.addoption(
        "--scheduler",
        default="",
        metavar="VERSION",
        help="a pinned kube-scheduler, such as v1.36.3, instead of the one of the local cluster",
    )


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build Kubernetes and the images now: it takes minutes, and no test's timeout runs yet."""
    if session.config.option.collectonly:
        return
    wanted = {name for item in session.items for name in _builds(item)}
    if os.environ.get(SKIP_CLUSTER) == "1":
        wanted &= {"binaries"}
    if not wanted or (wanted != {"binaries"} and unmet_requirements()):
        return
    try:
        _prepare(wanted, session.config)
    except LocalClusterError:
        return  # the fixture that needs it will say so, where the report shows it


@pytest.fixture(scope="session")
def progress(request: pytest.FixtureRequest) -> Progress:
    """Says on the terminal what is being set up: minutes of silence look like a hang."""
    return _terminal(request.config)


@pytest.fixture(scope="session")
def binaries(request: pytest.FixtureRequest) -> Binaries:
    """Kubernetes' programs, built when they are not in the cache."""
    return _programs(request.config)


def _builds(item: pytest.Item) -> set[str]:
    """Which of the fixtures that build something it uses; others have such names elsewhere."""
    ours = (
        {"binaries", "machine", "cluster"} if _CLUSTER_TESTS in item.path.parents else {"binaries"}
    )
    return ours & set(getattr(item, "fixturenames", ()))


def _programs(config: pytest.Config) -> Binaries:
    cache, progress = cache_root(os.environ), _terminal(config)
    programs = ensure_binaries(None, cache=cache, progress=progress)
    version = str(config.getoption("--scheduler"))
    if not version:
        return programs
    scheduler = ensure_scheduler(
        version, api_server=kubernetes_version(), cache=cache, progress=progress
    )
    return replace(programs, scheduler=scheduler)


def _prepare(wanted: set[str], config: pytest.Config) -> None:
    programs = _programs(config)
    images = ImageStore(cache_root(os.environ), progress=_terminal(config))
    if "machine" in wanted:
        images.workload()
    if "cluster" in wanted:
        images.k40s()
        images.scheduler(programs)


def _terminal(config: pytest.Config) -> Progress:
    manager = config.pluginmanager.getplugin("capturemanager")

    def write(text: str) -> None:
        with manager.global_and_fixture_disabled():
            print(text, end="", flush=True)  # noqa: T201  # that is its purpose

    return Progress(write)
