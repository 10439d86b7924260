"""Chapter (e): the three stages against a hazard, beside a HI service."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from demo.pods import NAMESPACE, service_deployment, stress_pod
from demo.report import Check
from demo.stage import HI_NODE, Stage
from k40s.annotations import HARDWARE_ASSURANCE_KEY, SOFTWARE_ASSURANCE_KEY
from k40s.assurance.response.policy import ResponsePolicy

SERVICE = "service"
QUIET_SECONDS = 16.0
"""More than the 10 s of quiet that the search for a culprit compares with."""
AFTERWARDS_SECONDS = 8.0
"""Enough for figures from after the quota alone."""
STRESS_SECONDS = 600
"""Longer than all that is waited for; the pods are deleted before."""
HELD_CPUS = float(ResponsePolicy().quota)
"""What a throttled pod keeps."""
SOON = 180.0
RECOVERY_SECONDS = 300.0
"""Each downgrade that follows another doubles the calm that recovery takes."""
_FIT = {HARDWARE_ASSURANCE_KEY: "5", SOFTWARE_ASSURANCE_KEY: "5"}
"""By the operator's word the general node is fit, and stays so where only an alarm speaks against
it: the control plane of a slow machine is busy."""


def respond_to_hazards(stage: Stage) -> list[Check]:
    """(e) A culprit is stopped; a hazard without one lowers the level, and the HI service moves."""
    stage.say(f"(e) Hazards beside a HI service on {stage.real_time_node}, in three stages")
    with _service(stage):
        checks = [*_stop_the_culprit(stage), *_downgrade_and_migrate(stage)]
        return [*checks, _recover(stage)]


@contextmanager
def _service(stage: Stage) -> Iterator[None]:
    """A HI Deployment on the real-time node; the general node is as before at the end."""
    former = {key: stage.observer.node_annotation(stage.general_node, key) for key in _FIT}
    stage.wait_until(
        "the node is fit", lambda: stage.level(stage.real_time_node) >= HI_NODE, seconds=SOON
    )
    stage.observer.create(service_deployment(SERVICE))
    try:
        stage.wait_until("the service is ready", lambda: _ready(stage), seconds=SOON)
        yield
    finally:
        words = ("-n", NAMESPACE, "delete", "deployment", SERVICE, "--ignore-not-found")
        stage.observer.kubectl(*words, "--cascade=foreground", "--wait=true")
        stage.observer.delete("noisy", "equal")
        _annotate(stage, former)


def _stop_the_culprit(stage: Stage) -> list[Check]:
    quiet = _latency_after(stage, QUIET_SECONDS)
    began = time.monotonic()
    stage.observer.create(_stress("noisy", stage, criticality="NO"))
    stage.wait_until(
        "the culprit is throttled", lambda: _told(stage, "SuspectThrottled"), seconds=SOON
    )
    took = time.monotonic() - began
    quota = stage.observer.quota("noisy")
    named = _told(stage, "SuspectNamed").split(";")[0]
    stressed, calm = _latency_after(stage, 0), _latency_after(stage, AFTERWARDS_SECONDS)
    stage.say(f"    stages 1 and 2: {named}")
    stage.say(f"    throttled to {quota:.2f} CPUs {took:.1f} s after its creation")
    stage.say(
        f"    the service wakes late by {quiet} ms when quiet, {stressed} ms until then, {calm} ms "
        "afterwards (median/p99)"
    )
    stage.observer.delete("noisy")
    return [
        Check(
            claim="a noisy NO pod is named as the culprit",
            expected="pod default/noisy",
            measured=" ".join(named.split()[:2]),
            held=named.startswith("pod default/noisy "),
        ),
        Check(
            claim="and is held",
            expected=f"{HELD_CPUS:.2f} CPUs",
            measured=f"{quota:.2f} CPUs after {took:.1f} s",
            held=0 < quota <= HELD_CPUS,
        ),
    ]


def _downgrade_and_migrate(stage: Stage) -> list[Check]:
    here, there = stage.real_time_node, stage.general_node
    _annotate(stage, _FIT)
    stage.wait_until(f"{there} is fit", lambda: stage.level(there) >= HI_NODE, seconds=SOON)
    calm, began = _calm_level(stage), time.monotonic()
    looks = _Looks(stage=stage)
    stage.observer.create(_stress("equal", stage, criticality="HI"))
    stage.wait_until(
        "the level falls", lambda: looks.take() and stage.level(here) < HI_NODE, seconds=SOON
    )
    fell, stressed = time.monotonic() - began, stage.level(here)
    stage.wait_until(
        "the service moves", lambda: looks.take() and _on(stage, there), seconds=SOON * 2
    )
    moved = time.monotonic() - began - fell
    untouched = stage.observer.quota("equal") == 0
    stage.say(
        f"    stage 3: an equally critical pod is noisy, nobody is stopped: {calm} -> {stressed}"
    )
    stage.say(
        f"    the level fell after {fell:.0f} s, the service ran on {there} {moved:.0f} s later; "
        f"ready pods in {looks.number} looks: {looks.least} or more"
    )
    return [
        Check(
            claim="a hazard without a culprit lowers the level",
            expected=f"from {HI_NODE} or more to below, nobody held",
            measured=f"{calm} -> {stressed}, {'nobody held' if untouched else 'a HI pod is held'}",
            held=calm >= HI_NODE > stressed and untouched,
        ),
        Check(
            claim="the HI service moves, and always has a ready pod",
            expected=f"{there}, 1 or more",
            measured=f"{', '.join(sorted(_nodes(stage)))}, {looks.least} or more",
            held=_nodes(stage) == {there} and looks.least >= 1,
        ),
    ]


def _calm_level(stage: Stage) -> int:
    """The real-time node's level once a HI pod may run there."""
    seen = [0]

    def is_calm() -> bool:
        seen[0] = stage.level(stage.real_time_node)
        return seen[0] >= HI_NODE

    stage.wait_until("the level is back", is_calm, seconds=RECOVERY_SECONDS)
    return seen[0]


def _recover(stage: Stage) -> Check:
    node = stage.real_time_node
    stage.observer.delete("equal")
    began = time.monotonic()
    stage.wait_until("it recovers", lambda: stage.level(node) >= HI_NODE, seconds=RECOVERY_SECONDS)
    recovered, took = stage.level(node), time.monotonic() - began
    stage.say(f"    recovery: level back at {recovered} {took:.0f} s after the end")
    return Check(
        claim="calm brings the level back",
        expected=f"{HI_NODE} or more",
        measured=str(recovered),
        held=recovered >= HI_NODE,
    )


@dataclass(slots=True, kw_only=True)
class _Looks:
    """Counts the service's ready pods, look by look."""

    stage: Stage
    least: int = 1
    number: int = 0

    def take(self) -> bool:
        self.least = min(self.least, _ready(self.stage))
        self.number += 1
        return True


def _stress(name: str, stage: Stage, *, criticality: str) -> Mapping[str, object]:
    return stress_pod(
        name,
        node=stage.real_time_node,
        stressor="open",
        workers=8,
        seconds=STRESS_SECONDS,
        criticality=criticality,
    )


def _pods(stage: Stage) -> list[dict[str, Any]]:
    return stage.observer.pods(f"app={SERVICE}")


def _ready(stage: Stage) -> int:
    """Ready pods that are not ending."""
    return sum(
        any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
        for pod in _pods(stage)
        if "deletionTimestamp" not in pod["metadata"]
        for conditions in [pod["status"].get("conditions", [])]
    )


def _nodes(stage: Stage) -> set[str]:
    return {str(pod["spec"].get("nodeName", "")) for pod in _pods(stage)}


def _on(stage: Stage, node: str) -> bool:
    return _nodes(stage) == {node} and _ready(stage) >= 1


def _told(stage: Stage, reason: str) -> str:
    """The text of an event of the noisy pod; "" where there is none."""
    return stage.observer.event("noisy", reason)


def _latency_after(stage: Stage, seconds: float) -> str:
    """Let time pass; the last figures that the service printed."""
    stage.observer.pause(seconds)
    (pod,) = _pods(stage)
    return stage.observer.last_log(pod["metadata"]["name"]) or "?"


def _annotate(stage: Stage, values: Mapping[str, str]) -> None:
    words = [f"{key}={value}" if value else f"{key}-" for key, value in values.items()]
    stage.observer.kubectl("annotate", "node", stage.general_node, "--overwrite", *words)
