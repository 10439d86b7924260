"""The whole chain against a culprit on a real cluster: throttle, freeze, evict, run elsewhere.

Usage: ``python bench/malacoda/eviction.py [--name acts] [--seconds 400] [--share 0.5]
[--keep]``, as root. It
brings up a local cluster of that name, deploys k40s with ``K40S_CULPRIT=evict`` and
``K40S_EVICT_CULPRITS=true``, and lets a Deployment stress a node beside a HI pod. Its
PodDisruptionBudget allows no eviction until one was refused. On a machine that other work keeps
busy too, time in the kernel is a smaller share of all: ``--share`` is the profile's rule. Prints
what happened when, one line of JSON each, and ends with 1 where the pod was not evicted in time.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cli.demo import stage_of
from demo.observer import WaitTimeoutError, wait_until
from demo.pods import deployment_of, sleeping_pod, stress_pod
from demo.stage import Stage
from localcluster.cluster import Cluster
from localcluster.deploy import deploy
from localcluster.progress import Progress
from localcluster.settings import ClusterSettings

QUIET_SECONDS = 20.0
"""More than the baseline that the search for a culprit needs."""
WORKERS = 8
STRESS_SECONDS = 600
_SYSTEM = ("-n", "k40s-system")
_STEPS = ("SuspectNamed", "SuspectThrottled", "SuspectReleased", "SuspectFrozen")
_NAMES = ("noisy", "guarded")


class Story:
    """What happened, in seconds since the stress began."""

    def __init__(self, cluster: Cluster, stage: Stage) -> None:
        self._cluster = cluster
        self._stage = stage
        self._begun = time.monotonic()
        self._seen: set[str] = set()

    def begin(self) -> None:
        """The stress begins."""
        self._begun = time.monotonic()

    def tell(self, what: str, **more: object) -> None:
        """One line."""
        second = round(time.monotonic() - self._begun, 1)
        sys.stdout.write(json.dumps({"second": second, "what": what, **more}) + "\n")
        sys.stdout.flush()

    def look(self, reason: str) -> bool:
        """Tell each event of this reason once; whether there is any about the pod or the node."""
        words = ("get", "events", "-A", f"--field-selector=reason={reason}", "-o", "json")
        items: list[dict[str, Any]] = json.loads(self._cluster.kubectl(*words))["items"]
        mine = [one for one in items if one["involvedObject"]["name"].startswith("noisy")]
        for one in mine:
            key = f"{one['metadata']['uid']} {one.get('count')}"
            if key not in self._seen:
                self._seen.add(key)
                self.tell(reason, text=one["message"][:240])
        return bool(mine)

    def wait(self, what: str, condition: Callable[[], bool], seconds: float) -> None:
        """Until the condition holds; events are told meanwhile."""

        def looked() -> bool:
            for reason in _STEPS:
                self.look(reason)
            return condition()

        wait_until(what, looked, seconds=seconds)


def pods(stage: Stage) -> list[dict[str, Any]]:
    """The Deployment's pods that do not end."""
    found = stage.observer.pods("app=noisy")
    return [one for one in found if "deletionTimestamp" not in one["metadata"]]


def budget(cluster: Cluster, most: int) -> None:
    """The Deployment's PodDisruptionBudget."""
    made = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "noisy", "namespace": "default"},
        "spec": {"maxUnavailable": most, "selector": {"matchLabels": {"app": "noisy"}}},
    }
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(made))


def profile(share: float) -> dict[str, object]:
    """A profile with a rule on time in the kernel alone."""
    return {
        "v": 1,
        "name": "default",
        "made": {
            "kernel": os.uname().release,
            "machine": "here",
            "by": "bench.malacoda.eviction",
            "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        "rules": [
            {
                "metric": "cpu-system",
                "raise": share,
                "clear": round(share * 0.7, 3),
                "change": {"reference": share, "decision": share / 2},
                "votes": 6,
                "window": 8,
                "hold": "5s",
                "harms": ["real-time", "ordinary"],
            }
        ],
    }


def prepare(cluster: Cluster, stage: Stage, share: float) -> None:
    """k40s may evict; a HI pod runs, and the node has been quiet."""
    made = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "k40s-assurance-profiles", "namespace": "k40s-system"},
        "data": {"default.json": json.dumps(profile(share))},
    }
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(made))
    for what, setting in (
        ("ds/malacoda", "K40S_CULPRIT=evict"),
        ("deployment/k40s-controller", "K40S_EVICT_CULPRITS=true"),
    ):
        cluster.kubectl(*_SYSTEM, "set", "env", what, setting)
    for what in ("ds/malacoda", "deployment/k40s-controller"):
        cluster.kubectl(*_SYSTEM, "rollout", "status", what, "--timeout=170s")
    node = stage.real_time_node
    wait_until("the node is fit for HI", lambda: stage.level(node) >= 14, seconds=150)
    guarded: dict[str, Any] = json.loads(json.dumps(sleeping_pod("guarded", criticality="HI")))
    guarded["spec"]["nodeSelector"] = {"kubernetes.io/hostname": node}
    stage.create_and_wait([guarded], ["guarded"])
    stage.observer.pause(QUIET_SECONDS)


def run(cluster: Cluster, stage: Stage, seconds: float) -> int:
    """The chain; 1 where it did not come to its end."""
    story = Story(cluster, stage)
    here, there = stage.real_time_node, stage.general_node
    cluster.kubectl("cordon", there)
    made = json.loads(
        json.dumps(
            deployment_of(
                stress_pod(
                    "noisy", node=here, stressor="open", workers=WORKERS, seconds=STRESS_SECONDS
                )
            )
        )
    )
    del made["spec"]["template"]["spec"]["nodeSelector"]
    budget(cluster, 0)
    story.begin()
    stage.observer.create(made)
    stage.observer.pause(2)
    cluster.kubectl("uncordon", there)
    (first,) = pods(stage)
    uid = first["metadata"]["uid"]
    try:
        story.wait("its eviction is asked", lambda: story.look("SuspectEvictionAsked"), seconds)
        story.wait("its budget holds", lambda: story.look("CulpritNotEvicted"), 30)
        budget(cluster, 1)
        story.tell("the budget allows one")
        story.wait("it is evicted", lambda: story.look("CulpritEvicted"), 60)
        story.wait(
            "another one is there",
            lambda: [one["metadata"]["uid"] for one in pods(stage)] not in ([], [uid]),
            60,
        )
    except WaitTimeoutError as error:
        story.tell(f"not in time: {error}")
        return 1
    (second,) = pods(stage)
    story.tell("replaced", node=second["spec"].get("nodeName", "waits"), was=here)
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="acts", help="of the cluster")
    parser.add_argument("--seconds", type=float, default=400, help="until the eviction is asked")
    parser.add_argument("--share", type=float, default=0.5, help="of time in the kernel")
    parser.add_argument("--keep", action="store_true", help="leave the cluster up")
    arguments = parser.parse_args()
    cluster = Cluster(ClusterSettings(name=arguments.name))
    progress = Progress(lambda text: print(text, end="", file=sys.stderr, flush=True))
    try:
        cluster.up(progress)
        deploy(cluster, progress=progress)
        stage = stage_of(cluster)
        prepare(cluster, stage, arguments.share)
        status = run(cluster, stage, arguments.seconds)
    finally:
        if not arguments.keep:
            cluster.down(progress)
    sys.exit(status)


if __name__ == "__main__":
    main()
