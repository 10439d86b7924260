"""Chapter (c): placement by criticality."""

from demo.observer import all_on
from demo.pods import sleeping_pod
from demo.report import Check
from demo.stage import HI_NODE, Stage


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
