"""Chapters (a), (b) and (g): budgets that the kernel holds, admission, and giving back."""

from demo.budgets import BudgetGroup
from demo.observer import reasons_in
from demo.pods import OVERRUN, PERIODIC, PLATFORM, real_time_pod
from demo.report import Check
from demo.stage import Stage
from k40s.annotations import ALLOCATION_KEY
from k40s.cpu.model import Mechanism
from k40s.units import NS_PER_MS, NS_PER_US

SHARE_TOLERANCE = 0.01
TRIES = 8
"""Measurements of a share: what the hypervisor takes may be missing from one."""
JOBS = 20
PERIOD_MS = 400
_POLICIES = {Mechanism.RT_CGROUP: "SCHED_FIFO", Mechanism.DEADLINE: "SCHED_DEADLINE"}


def hold_a_task_to_its_budget(stage: Stage) -> list[Check]:
    """(a) A HI pod whose task overruns gets exactly its budget from the kernel."""
    stage.say("(a) A HI pod with a 20ms/100ms task that never stops computing")
    tasks: list[object] = [{"name": "control", "period": "100ms", "wcet": {PLATFORM: "20ms"}}]
    script = OVERRUN.format(task="control")
    stage.observer.create(real_time_pod("control", criticality="HI", script=script, tasks=tasks))
    stage.wait_running("control")
    group = stage.group_with_thread(known=())
    allocated = stage.observer.pod("control")["metadata"]["annotations"][ALLOCATION_KEY]
    stage.say(f"    allocation: {allocated}")
    node = stage.observer.node_of("control")
    policy, expected = stage.policy(group.threads[0]), _POLICIES[group.mechanism]
    return [
        Check(
            claim="HI pod is on the real-time node",
            expected=stage.real_time_node,
            measured=node,
            held=node == stage.real_time_node,
        ),
        Check(
            claim="its thread's policy",
            expected=expected,
            measured=policy,
            held=policy.split()[0] == expected,
        ),
        _check_share(stage, group),
    ]


def _check_share(stage: Stage, group: BudgetGroup) -> Check:
    bandwidth = group.budget / group.period
    for _ in range(TRIES):
        share, steal = stage.share(group.threads[0])
        stage.say(f"    budget {bandwidth:.4f} of a core, the kernel gave {share:.4f} ({steal})")
        if abs(share - bandwidth) <= SHARE_TOLERANCE:
            break
    return Check(
        claim="share of a core beside the budget",
        expected=f"{bandwidth:.4f} ± {SHARE_TOLERANCE}",
        measured=f"{share:.4f}, {steal}",
        held=abs(share - bandwidth) <= SHARE_TOLERANCE,
        of_time=True,
    )


def admit_what_fits_and_no_more(stage: Stage) -> list[Check]:
    """(b) A second pod is admitted beside the first and keeps its deadline; a third waits."""
    stage.say("(b) A LOW pod beside it that keeps its WCET, and one that does not fit")
    before = tuple(group.name for group in stage.observer.groups())
    stolen = stage.stolen()
    second: list[object] = [{"name": "logger", "period": f"{PERIOD_MS}ms", "wcet": "5ms"}]
    wcet = f"{stage.sizes().too_much}ms"
    third: list[object] = [{"name": "big", "period": "100ms", "wcet": wcet}]
    keeps = PERIODIC.format(
        task="logger",
        work=4 * NS_PER_MS,
        period=PERIOD_MS * NS_PER_MS,
        deadline=PERIOD_MS * NS_PER_MS,
    )
    overruns = OVERRUN.format(task="big")
    stage.observer.create(
        real_time_pod("logger", criticality="LOW", script=keeps, tasks=second),
        real_time_pod("too-much", criticality="LOW", script=overruns, tasks=third),
    )
    stage.wait_running("logger")
    group = stage.group_with_thread(known=before)
    return [_check_deadlines(stage, group, stolen), _check_refusal(stage)]


def _check_deadlines(stage: Stage, group: BudgetGroup, stolen_before: int) -> Check:
    """No job is late, or none by more than the hypervisor took from the machine meanwhile."""
    stage.wait_until(f"{JOBS} jobs are done", lambda: stage.jobs("logger") >= JOBS, seconds=180)
    jobs, misses, worst = (int(word) for word in stage.observer.last_log("logger").split())
    stolen = stage.stolen() - stolen_before
    stage.say(
        f"    {jobs} jobs, {misses} misses, worst response {worst // NS_PER_US} us,"
        f" budget {group.budget} us / {group.period} us (steal {stolen} ms)"
    )
    return Check(
        claim="a second real-time pod beside the overrunning one",
        expected="deadlines kept, but for steal",
        measured=f"{misses} misses in {jobs} jobs, steal {stolen} ms",
        held=misses == 0 or worst <= (PERIOD_MS + stolen) * NS_PER_MS,
        of_time=True,
    )


def _check_refusal(stage: Stage) -> Check:
    stage.wait_until(
        "'too-much' is refused", lambda: stage.observer.refusals("too-much"), seconds=120
    )
    refusal = stage.observer.refusals("too-much")
    codes = reasons_in(refusal)
    stage.say(f"    event of 'too-much': {refusal}")
    phase = stage.observer.phase_of("too-much")
    return Check(
        claim="a third that does not fit",
        expected="Pending, event says why",
        measured=f"{phase}: {codes}",
        held=phase == "Pending" and "cpu." in codes,
    )


def give_everything_back(stage: Stage) -> list[Check]:
    """(g) Deleting the pods gives back every microsecond."""
    stage.say("(g) All pods are deleted")
    held = stage.observer.bandwidth()
    stage.observer.delete("control", "logger", "too-much")
    stage.wait_until("no budget is left", lambda: not stage.observer.groups(), seconds=180)
    stage.wait_until("the node publishes no reservation", lambda: not stage.reserved(), seconds=120)
    left = stage.observer.bandwidth()
    stage.say(f"    real-time bandwidth in the kernel: {float(held):.4f} -> {float(left):.4f}")
    return [
        Check(
            claim="bandwidth of budgets in the kernel",
            expected="more than 0 -> 0",
            measured=f"{float(held):.4f} -> {float(left):.4f}",
            held=held > 0 and left == 0,
        ),
        Check(
            claim="utilization that the node publishes",
            expected="0",
            measured=str(float(stage.utilization())),
            held=stage.utilization() == 0,
        ),
    ]
