"""Chapters (c) and (d): placement by criticality, and by an assurance that follows the load."""

from demo.observer import all_on, wait_until
from demo.pods import sleeping_pod, stress_pod
from demo.report import Check
from demo.stage import Stage
from k40s.reasons import Reason

HI_NODE = 14
"""The assurance that a HI pod needs."""


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
    calm = stage.level(stage.real_time_node)
    stage.observer.create(
        stress_pod("stress", node=stage.real_time_node, stressor="open", workers=8, seconds=120)
    )
    wait_until(
        "the node's level falls below 14",
        lambda: stage.level(stage.real_time_node) < HI_NODE,
        seconds=90,
    )
    stressed = stage.level(stage.real_time_node)
    stage.observer.create(sleeping_pod("late", criticality="HI"))
    wait_until("the HI pod is refused", lambda: stage.observer.refusals("late"), seconds=30)
    refusal = stage.observer.refusals("late")
    phase = stage.observer.phase_of("late")
    stage.say(f"    level {calm} -> {stressed}; event of the HI pod: {refusal}")
    stage.observer.delete("stress")
    wait_until(
        "the HI pod runs after the level has recovered",
        lambda: stage.observer.phase_of("late") == "Running",
        seconds=180,
    )
    recovered, node = stage.level(stage.real_time_node), stage.observer.node_of("late")
    stage.say(f"    level {stressed} -> {recovered}; the HI pod runs on {node}")
    stage.observer.delete("late")
    return [
        Check(
            claim="the level falls under stress",
            expected=f"{calm} -> below {HI_NODE}",
            measured=str(stressed),
            held=stressed < HI_NODE,
        ),
        Check(
            claim="a HI pod then finds no node",
            expected=Reason.ASSURANCE_TOO_LOW.value,
            measured=f"{phase}: {Reason.ASSURANCE_TOO_LOW.value in refusal}",
            held=phase == "Pending" and Reason.ASSURANCE_TOO_LOW.value in refusal,
        ),
        Check(
            claim="and gets one when it recovers",
            expected=stage.real_time_node,
            measured=f"{node} at {recovered}",
            held=node == stage.real_time_node,
        ),
    ]
