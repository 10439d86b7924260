"""Chapters (a), (b) and (g) on a node whose kernel can hold nobody to a budget: it says so."""

from demo.observer import reasons_in
from demo.pods import OVERRUN, PLATFORM, real_time_pod
from demo.report import Check
from demo.stage import Stage
from k40s.annotations import REAL_TIME_LABEL
from k40s.reasons import Reason


def refuse_what_cannot_be_held(stage: Stage) -> list[Check]:
    """(a, b) A HI pod with a real-time task waits, with the reason; nothing is promised."""
    node = stage.real_time_node
    stage.say(f"(a, b) A HI pod with a real-time task, which {node} could not hold to its budget")
    tasks: list[object] = [{"name": "control", "period": "100ms", "wcet": {PLATFORM: "20ms"}}]
    script = OVERRUN.format(task="control")
    stage.observer.create(real_time_pod("control", criticality="HI", script=script, tasks=tasks))
    stage.wait_until("it is refused", lambda: stage.observer.refusals("control"), seconds=120)
    refusal, phase = stage.observer.refusals("control"), stage.observer.phase_of("control")
    label = stage.observer.node_label(node, REAL_TIME_LABEL)
    stage.say(f"    event of 'control': {refusal}")
    return [
        Check(
            claim="a pod that no node can hold to its budget",
            expected=f"Pending: {Reason.CPU_NO_REAL_TIME.value}",
            measured=f"{phase}: {reasons_in(refusal)}",
            held=phase == "Pending" and Reason.CPU_NO_REAL_TIME.value in refusal,
        ),
        Check(
            claim=f"label {REAL_TIME_LABEL} of {node}",
            expected="false",
            measured=label or "none",
            held=label == "false",
        ),
    ]


def leave_nothing(stage: Stage) -> list[Check]:
    """(g) Nothing was reserved, and nothing is left."""
    stage.say("(g) All pods are deleted")
    stage.observer.delete("control")
    utilization, groups = stage.utilization(), len(stage.observer.groups())
    return [
        Check(
            claim="reserved, and held in the kernel",
            expected="0, 0 budgets",
            measured=f"{float(utilization):g}, {groups} budgets",
            held=utilization == 0 and groups == 0,
        )
    ]
