"""Wrappers, sidecars and crash loops that a real kubelet runs: what is held, and what is told."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cli.demo import stage_of
from demo.pods import OVERRUN, real_time_pod
from demo.stage import Stage
from localcluster.cluster import Cluster
from tests.e2e.patience import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

NAMES = ("wrapped", "beside", "crashing")
TASK = {"name": "ctl", "container": "main", "period": "100ms", "wcet": "2ms"}
SLEEP = "import time; time.sleep(3600)"


@pytest.fixture
def stage(cluster: Cluster) -> Iterator[Stage]:
    stage = stage_of(cluster)
    yield stage
    stage.observer.delete(*NAMES)


def task_pod(name: str, *, command: list[str], container: str = "main") -> dict[str, Any]:
    tasks: list[object] = [TASK | {"container": container}]
    made = real_time_pod(name, criticality="LOW", script="pass", tasks=tasks)
    pod: dict[str, Any] = json.loads(json.dumps(made))
    pod["spec"]["containers"][0]["command"] = command
    return pod


def told(cluster: Cluster, name: str) -> dict[str, str]:
    """Reason -> text of a pod's events."""
    words = ("get", "events", f"--field-selector=involvedObject.name={name}", "-o", "json")
    items = json.loads(cluster.kubectl(*words))["items"]
    return {item["reason"]: item["message"] for item in items}


def held(stage: Stage) -> list[int]:
    return [tid for group in stage.observer.groups() for tid in group.threads]


def test_a_shell_that_waits_for_the_program_is_not_held_and_the_pod_is_told(
    cluster: Cluster, stage: Stage
) -> None:
    before = held(stage)
    command = ["sh", "-c", f'python3 -c "{SLEEP}"; true']

    stage.create_and_wait([task_pod("wrapped", command=command)], ["wrapped"])
    wait_until("it is told", lambda: "TaskWithoutThread" in told(cluster, "wrapped"), seconds=60)

    text = told(cluster, "wrapped")["TaskWithoutThread"]
    assert "its main thread, 'sh'" in text
    assert "'python3'" in text
    assert "MainThreadStandsIn" not in told(cluster, "wrapped")
    assert held(stage) == before


def test_a_task_in_a_native_sidecar_is_held(cluster: Cluster, stage: Stage) -> None:
    pod = task_pod("beside", command=["sleep", "infinity"], container="log")
    sidecar = pod["spec"]["containers"][0] | {
        "name": "log",
        "restartPolicy": "Always",
        "command": ["python3", "-c", OVERRUN.format(task="ctl")],
    }
    pod["spec"]["initContainers"] = [sidecar]
    known = [group.name for group in stage.observer.groups() if group.threads]

    stage.create_and_wait([pod], ["beside"])
    group = stage.group_with_thread(known=known)

    (thread,) = group.threads
    assert stage.policy(thread).startswith("SCHED_FIFO ")
    assert not {"CgroupNotFound", "TaskWithoutThread"} & told(cluster, "beside").keys()


def test_a_container_in_a_crash_loop_is_told_as_one_that_does_not_run(
    cluster: Cluster, stage: Stage
) -> None:
    pod = task_pod("crashing", command=["sh", "-c", "exit 3"])
    pod["spec"]["restartPolicy"] = "Always"

    stage.observer.create(pod)
    # As it ended, or before the pause of its crash loop; before that it may be told that it starts.
    wait_until(
        "it is told",
        lambda: "exit code 3" in told(cluster, "crashing").get("TaskNotRunning", ""),
        seconds=120,
    )

    text = told(cluster, "crashing")["TaskNotRunning"]
    assert text.startswith("container main does not run, and so not ctl: ")
    assert "TaskWithoutThread" not in told(cluster, "crashing")
