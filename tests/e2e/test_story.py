"""The demo's story on the tests' own cluster: every claim must hold."""

import pytest

from cli.demo import stage_of
from demo.report import format_table
from demo.story import play
from localcluster.cluster import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


def test_every_claim_of_the_story_holds(cluster: Cluster) -> None:
    checks = play(stage_of(cluster))

    print(format_table(checks))  # noqa: T201  # the figures belong into the test's report
    assert [check for check in checks if not check.held] == []
