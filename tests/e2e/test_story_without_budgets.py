"""The story where the kernel may hold nobody to a budget: it runs, and says what cannot be."""

from collections.abc import Iterator

import pytest

from cli.demo import stage_of
from demo.chapters.placement import place_by_criticality
from demo.chapters.who_gets_what import refuse_mistakes
from demo.chapters.without_budgets import leave_nothing, refuse_what_cannot_be_held
from demo.report import broken
from demo.stage import Stage
from demo.story import problems_in
from k40s.annotations import REAL_TIME_LABEL
from localcluster.cluster import Cluster
from localcluster.deploy import NAMESPACE

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

DAEMON = "daemonset/rubicante"
ONLY_DEADLINE = "K40S_MECHANISMS=deadline\n"
"""The kernel refuses it on one CPU of a root domain that has several."""
SECONDS = 180.0


@pytest.fixture
def stage(cluster: Cluster) -> Iterator[Stage]:
    """The session's cluster, whose real-time node may use what its kernel does not offer."""
    stage = stage_of(cluster)
    settings = cluster.paths.node(stage.real_time_node) / f"k40s/node/{stage.real_time_node}.env"
    former = settings.read_text(encoding="utf-8")
    settings.write_text(former + ONLY_DEADLINE, encoding="utf-8")
    try:
        _restart(cluster, stage, label="false")
        yield stage
    finally:
        settings.write_text(former, encoding="utf-8")
        _restart(cluster, stage, label="true")


def _restart(cluster: Cluster, stage: Stage, *, label: str) -> None:
    for words in (("restart", DAEMON), ("status", DAEMON, f"--timeout={SECONDS:.0f}s")):
        cluster.kubectl("rollout", *words, f"--namespace={NAMESPACE}", timeout=SECONDS + 30)
    node = stage.real_time_node
    stage.wait_until(
        f"the node says {label}",
        lambda: stage.observer.node_label(node, REAL_TIME_LABEL) == label,
        seconds=SECONDS,
    )


def test_it_says_what_the_node_cannot_do_and_shows_the_rest(stage: Stage) -> None:
    stage.observer.delete_all()

    mechanism = stage.mechanism()
    causes = problems_in(stage.observer.log_of(DAEMON, namespace=NAMESPACE))
    checks = [
        check
        for chapter in (
            refuse_what_cannot_be_held,
            place_by_criticality,
            refuse_mistakes,
            leave_nothing,
        )
        for check in chapter(stage)
    ]

    assert mechanism is None
    assert any("SCHED_DEADLINE" in cause for cause in causes)
    assert broken(checks) == []
