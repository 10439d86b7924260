"""The shipped examples: both on one real-time core, none of their jobs late while enforced."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from cli.demo import stage_of
from demo.stage import Stage
from localcluster.cluster import Cluster
from tests.e2e.examples import (
    PODS,
    apply_examples,
    condition_of,
    delete_examples,
    last_report,
    log_of,
    lost_condition,
    wait_for,
)
from tests.e2e.patience import wait_until
from tests.kernel.undisturbed import Host, watched

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

PERIOD_MS = {"pod/control-loop": 100, "pod/video": 200}
JOBS = 50


@pytest.fixture(scope="module")
def seen() -> Iterator[Callable[[], Host]]:
    """Heartbeats from before the first job on; asked for the first time, what they saw."""
    with ExitStack() as stack:
        host = stack.enter_context(watched())

        def end() -> Host:
            stack.close()
            return host

        yield end


@pytest.fixture(scope="module")
def stage(cluster: Cluster, seen: Callable[[], Host]) -> Iterator[Stage]:
    del seen
    made = stage_of(cluster)
    apply_examples(cluster)
    yield made
    delete_examples(cluster)
    wait_until("no budget group is left", lambda: not made.observer.groups(), seconds=180)


def test_both_run_on_one_core_and_are_ready_when_they_are_enforced(
    cluster: Cluster, stage: Stage
) -> None:
    wait_for(cluster, "k40s.io/enforced", *PODS)
    wait_for(cluster, "Ready", *PODS)

    assert {stage.observer.node_of(pod.split("/")[1]) for pod in PODS} == {stage.real_time_node}
    for pod in PODS:
        assert condition_of(cluster, pod, "reason") == "Enforced"


@pytest.mark.usefixtures("stage")
def test_they_do_no_job_before_they_are_enforced_and_none_late_after(
    cluster: Cluster, seen: Callable[[], Host]
) -> None:
    for pod in PODS:

        def done(name: str = pod) -> bool:
            report = last_report(cluster, name)
            return report is not None and report.jobs >= JOBS

        wait_until(f"{pod} has done {JOBS} jobs", done, seconds=240)
    reports = {pod: last_report(cluster, pod) for pod in PODS}
    host = seen()

    for pod, report in reports.items():
        first, second, *_ = log_of(cluster, pod)
        print(pod, report, host)  # noqa: T201  # figures for the test's report
        assert first == "waiting to be enforced: SCHED_OTHER"
        assert second == "enforced: SCHED_FIFO"
        assert report is not None
        assert report.policy == "SCHED_FIFO"
        assert report.late == 0 or report.worst_ms <= PERIOD_MS[pod] + 1000 * host.took


def kill_task(stage: Stage, name: str) -> None:
    """End the process whose thread is held for a task: nodes share this machine's processes."""

    def found() -> list[int]:
        threads = [thread for group in stage.observer.groups() for thread in group.threads]
        return [thread for thread in threads if name_of(thread) == name]

    def name_of(thread: int) -> str:
        try:
            return (stage.observer.proc / str(thread) / "comm").read_text().strip()
        except OSError:  # it ended meanwhile
            return ""

    wait_until(f"a thread of {name!r} is held", found, seconds=120)
    tid = found()[0]
    os.kill(tid, signal.SIGKILL)
    wait_until("it is gone", lambda: tid not in found(), seconds=60)


def test_a_pod_whose_container_is_gone_is_not_enforced_until_it_runs_again(
    cluster: Cluster, stage: Stage
) -> None:
    lost: dict[str, str] = {}

    def is_lost() -> bool:
        lost.update(lost_condition(cluster, "pod/video"))
        return bool(lost)

    kill_task(stage, "frames")  # kubelet starts it again at once
    kill_task(stage, "frames")  # and now after a pause

    wait_until("the condition says so", is_lost, seconds=120)
    assert lost["reason"] in ("Waiting", "NotRunning")
    assert "frames" in lost["message"]
    assert "container video" in lost["message"]
    assert condition_of(cluster, "pod/control-loop") == "True"
    wait_for(cluster, "k40s.io/enforced", "pod/video")
    wait_for(cluster, "Ready", "pod/video")
