"""Chapters (c) and (d): placement by criticality, and by an assurance that follows the load."""

from demo.observer import all_on, reasons_in, wait_until
from demo.pods import sleeping_pod, stress_pod
from demo.report import Check
from demo.stage import Stage
from k40s.reasons import Reason

HI_NODE = 14
"""The assurance that a HI pod needs."""
STRESS_SECONDS = 120
RECOVERY_SECONDS = 180.0


def place_by_criticality(stage: Stage) -> list[Check]:
    """(c) NO pods pack together; HI pods stay off nodes below the threshold."""
    stage.say("(c) Four NO pods and two HI pods without real-time tasks")
    ordinary = [f"batch-{i}" for i in range(4)]
    critical = [f"guard-{i}" for i in range(2)]
    stage.create_and_wait([sleeping_pod(n, criticality="NO") for n in ordinary], ordinary)
    stage.create_and_wait([sleeping_pod(n, criticality="HI") for n in critical], critical)
    packed = [stage.observer.node_of(name) for name in ordinary]
    guarded = [stage.observer.node_of(name) for name in critical]
    levels = {n: stage.level(n) for n in (stage.real_time_node, stage.general_node)}
    shown = ", ".join(f"{node}={level}" for node, level in levels.items())
    stage.say(f"    assurance {shown}; NO on {all_on(packed)}, HI on {all_on(guarded)}")
    stage.observer.delete(*ordinary, *critical)
    return [
        Check(
            claim="NO pods pack",
            expected="one node",
            measured=all_on(packed),
            held=len(set(packed)) == 1,
        ),
        Check(
            claim=f"HI pods avoid nodes below {HI_NODE}",
            expected=f"{stage.general_node} below {HI_NODE}, HI on {stage.real_time_node}",
            measured=f"{shown}; HI on {all_on(guarded)}",
            held=levels[stage.general_node] < HI_NODE and set(guarded) == {stage.real_time_node},
        ),
    ]


def follow_the_assurance(stage: Stage) -> list[Check]:
    """(d) Stress lowers the node's level; a HI pod waits until it has recovered."""
    stage.say(f"(d) stress-ng on {stage.real_time_node}: its assurance falls, a HI pod waits")
    checks = [_check_fall(stage), _check_refusal(stage)]
    stage.observer.delete("stress")
    return [*checks, _check_recovery(stage)]


def _check_fall(stage: Stage) -> Check:
    node = stage.real_time_node
    calm = stage.level(node)
    stage.observer.create(
        stress_pod("stress", node=node, stressor="open", workers=8, seconds=STRESS_SECONDS)
    )
    wait_until(f"the level is below {HI_NODE}", lambda: stage.level(node) < HI_NODE, seconds=90)
    stressed = stage.level(node)
    stage.say(f"    level {calm} -> {stressed}")
    return Check(
        claim="the level falls under stress",
        expected=f"from {HI_NODE} or more to below",
        measured=f"{calm} -> {stressed}",
        held=calm >= HI_NODE > stressed,
    )


def _check_refusal(stage: Stage) -> Check:
    stage.observer.create(sleeping_pod("late", criticality="HI"))
    wait_until("the HI pod is refused", lambda: stage.observer.refusals("late"), seconds=120)
    refusal, phase = stage.observer.refusals("late"), stage.observer.phase_of("late")
    stage.say(f"    event of the HI pod: {refusal}")
    return Check(
        claim="a HI pod then finds no node",
        expected=Reason.ASSURANCE_HAZARD.value,
        measured=f"{phase}: {reasons_in(refusal)}",
        held=phase == "Pending" and Reason.ASSURANCE_HAZARD.value in refusal,
    )


def _check_recovery(stage: Stage) -> Check:
    stage.wait_running("late", seconds=RECOVERY_SECONDS)
    recovered, node = stage.level(stage.real_time_node), stage.observer.node_of("late")
    stage.say(f"    level back at {recovered}; the HI pod runs on {node}")
    stage.observer.delete("late")
    return Check(
        claim="and gets one when it recovers",
        expected=f"{stage.real_time_node} at {HI_NODE} or more",
        measured=f"{node} at {recovered}",
        held=node == stage.real_time_node and recovered >= HI_NODE,
    )
