"""What every kind of test may use."""

import os

import pytest

from localcluster.binaries import Binaries, ensure_binaries
from localcluster.paths import cache_root
from localcluster.progress import Progress


@pytest.fixture(scope="session")
def progress(request: pytest.FixtureRequest) -> Progress:
    """Says on the terminal what is being set up: minutes of silence look like a hang."""
    manager = request.config.pluginmanager.getplugin("capturemanager")

    def write(text: str) -> None:
        with manager.global_and_fixture_disabled():
            print(text, end="", flush=True)  # noqa: T201  # that is its purpose

    return Progress(write)


@pytest.fixture(scope="session")
def binaries(progress: Progress) -> Binaries:
    """Kubernetes' programs, built when they are not in the cache."""
    return ensure_binaries(None, cache=cache_root(os.environ), progress=progress)
