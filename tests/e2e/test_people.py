"""What people ask a real cluster: the commands, and insight behind them."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.demo import stage_of
from cli.main import main
from demo.observer import WaitTimeoutError
from demo.pods import PERIODIC, real_time_pod
from demo.stage import Stage
from localcluster.cluster import Cluster
from tests.e2e.patience import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

TASK = {"name": "loop", "period": "100ms", "wcet": {"edge": "20ms"}}
MS = 1_000_000
POD, TOO_LARGE = "asked-about", "asked-about-large"
VIEWER = "k40s-viewer"
"""The account of manifests/overlays/local: it may see everything."""

Ask = Callable[..., Result]


@pytest.fixture(scope="module")
def stage(cluster: Cluster) -> Iterator[Stage]:
    """A pod that runs, and one that fits nowhere."""
    stage = stage_of(cluster)
    script = PERIODIC.format(task="loop", work=5 * MS, deadline=100 * MS, period=100 * MS)
    large = {**TASK, "wcet": {"edge": "99ms"}}
    try:
        stage.observer.create(
            real_time_pod(POD, criticality="HI", script=script, tasks=[TASK]),
            real_time_pod(TOO_LARGE, criticality="HI", script=script, tasks=[large]),
        )
        stage.wait_running(POD)
        wait_until("it is refused", lambda: stage.observer.refusals(TOO_LARGE), seconds=60)
        yield stage
    finally:
        stage.observer.delete(POD, TOO_LARGE)


@pytest.fixture(scope="module")
def token(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("viewer") / "token"
    path.write_text(cluster.kubectl("--namespace=k40s-system", "create", "token", VIEWER))
    return path


@pytest.fixture
def ask(cluster: Cluster) -> Ask:
    """Run ``k40s`` as somebody with the cluster's kubeconfig, and with kubectl to find."""
    kubectl = cluster.plane().binaries.path("kubectl")
    env = {
        "KUBECONFIG": str(cluster.kubeconfig),
        "PATH": f"{kubectl.parent}:{os.environ['PATH']}",
    }
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words], env=env)


def test_every_part_of_a_fresh_installation_is_well(ask: Ask) -> None:
    def is_well() -> bool:
        result = ask("status")
        return {line.split()[0] for line in result.stdout.splitlines()[1:]} == {"ok"}

    with suppress(WaitTimeoutError):  # a daemon may be late just then
        wait_until("all is well", is_well, seconds=60)
    result = ask("status")

    states = [line.split()[0] for line in result.stdout.splitlines()[1:]]
    assert (result.exit_code, set(states)) == (0, {"ok"}), result.output
    assert "k40s-insight" in result.stdout


def test_the_nodes_are_shown_with_what_is_reserved(ask: Ask, stage: Stage) -> None:
    result = ask("top", "node", stage.real_time_node)

    assert result.exit_code == 0, result.output
    assert POD in result.stdout
    assert "rt-cgroup" in result.stdout


def test_a_pod_that_fits_nowhere_is_explained_by_the_extenders_verdict(
    ask: Ask, stage: Stage, token: Path
) -> None:
    result = ask("explain", TOO_LARGE, "--token-file", token)

    assert result.exit_code == 1, result.output
    assert f"default/{TOO_LARGE} (HI) fits on none of 2 nodes" in result.stdout
    assert f"{stage.real_time_node}: cpu." in result.stdout
    assert f"default/{POD} (HI)" in result.stdout
    assert "never" not in result.stdout


def test_a_pod_that_runs_tells_its_story(ask: Ask, stage: Stage, token: Path) -> None:
    def told() -> Result:
        return ask("explain", POD, "--token-file", token)

    wait_until("it is enforced", lambda: "kernel enforces" in told().stdout, seconds=60)

    result = told()
    chain = [result.stdout.find(word) for word in ("  created", "  bound to", "  enforced")]
    assert result.exit_code == 0
    assert -1 not in chain
    assert chain == sorted(chain)
    assert f"running on {stage.real_time_node}" in result.stdout
