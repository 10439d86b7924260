"""The demo's story on the tests' own cluster: every claim must hold."""

import pytest

from cli.demo import stage_of
from demo.report import broken, format_table
from demo.story import play
from localcluster.cluster import Cluster
from tests.kernel.undisturbed import watched

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


def test_every_claim_of_the_story_holds(cluster: Cluster) -> None:
    with watched() as host:
        checks = play(stage_of(cluster))

    print(format_table(checks))  # noqa: T201  # the figures belong into the test's report
    failed = broken(checks)
    if failed and all(check.of_time for check in failed) and host.stalled > 0:
        pytest.skip(f"the host stood still for {host.stalled:.2f} s: {failed}")
    assert failed == []
