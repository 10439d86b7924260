"""How exactly budgets are enforced: tick, high-resolution tick, preemption, throttling."""

from fractions import Fraction

from daemons.rubicante.kernel.preemption import Preemption, judge_preemption
from daemons.rubicante.kernel.sched_features import HRTICK_DL
from daemons.rubicante.mechanisms.timer.lateness import BOUNDS, assumed_lateness
from k40s.cpu.model import Mechanism
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds
from workbench.doctor.facts import Facts, Kernel
from workbench.doctor.findings import Finding, Level
from workbench.doctor.judgement.example_task import PERIOD, WCET, reserved_share
from workbench.table import as_share, as_time

_PERMIT = "K40S_HRTICK=true for rubicante, with the component hrtick"
_FINE = Nanoseconds(NS_PER_MS)
_MOST_HZ = 100_000
_UNCERTAIN_DEFAULT = (7, 0)
"""From here on a kernel may have the feature on by default."""

_SEEN = {
    Preemption.NONE: "not measured",
    Preemption.VOLUNTARY: "seen 0.5 to 1.1 ms late",
    Preemption.FULL: "seen up to 0.65 ms late",
    Preemption.LAZY: "not measured",
    Preemption.RT: "not seen late",
}
"""How late budgets ended beside a thread that maps 8 MB at a time, under emulation."""


def tick_of(facts: Facts) -> Nanoseconds | None:
    """The scheduler tick: measured, else by CONFIG_HZ."""
    return facts.scheduler.tick or tick_of_options(facts.kernel)


def tick_of_options(kernel: Kernel) -> Nanoseconds | None:
    """1 s / HZ by the kernel's options; None where they do not tell."""
    options = kernel.options or {}
    names = [name.removeprefix("HZ_") for name, value in options.items() if value == "y"]
    text = options.get("HZ") or next((name for name in names if name.isdecimal()), "")
    if not text.isdecimal() or not 0 < int(text) <= _MOST_HZ:
        return None
    return Nanoseconds(NS_PER_S // int(text))


def tick(facts: Facts) -> Finding:
    """The granularity of enforcement without a timer of its own."""
    length = tick_of(facts)
    if length is None:
        return Finding(
            subject="tick",
            level=Level.UNKNOWN,
            found="neither measured nor in the kernel's options",
            consequence="by how much budgets are overrun is not known",
            remedy="run it on the machine itself, or give --config FILE",
        )
    hz = round(NS_PER_S / length)
    asked = as_share(Fraction(WCET, PERIOD))
    by_groups = reserved_share(length, Mechanism.RT_CGROUP)
    share = "refused" if by_groups is None else f"reserved as {as_share(by_groups)}"
    return Finding(
        subject="tick",
        level=Level.OK if length <= _FINE else Level.LIMITS,
        found=f"HZ = {hz}",
        consequence=f"budgets are checked every {as_time(length)}: a task of {as_time(WCET)} every "
        f"{as_time(PERIOD)} ({asked} of a core) is {share} by rt-cgroups; see k40s analyze",
        remedy="" if length <= _FINE else "needs another kernel: CONFIG_HZ_1000=y",
    )


def timer(facts: Facts) -> Finding:
    """The high-resolution tick, which ends SCHED_DEADLINE budgets when they are used up."""
    length = tick_of(facts)
    late = "the tick" if length is None else as_time(length)
    without = (
        f"SCHED_DEADLINE budgets are overrun by up to {late}, twice that where a period is below "
        f"it: beside another pod's thread, deadlines up to {late} are refused"
    )
    features = facts.scheduler.features
    if features is not None and HRTICK_DL in features:
        return _timer_on(facts)
    if facts.kernel.has_high_resolution_tick is False:
        return Finding(
            subject="hrtick",
            level=Level.MISSING,
            found="CONFIG_SCHED_HRTICK is not set",
            consequence=without,
            remedy="needs another kernel: CONFIG_SCHED_HRTICK=y",
        )
    if features is not None:
        return Finding(
            subject="hrtick",
            level=Level.LIMITS,
            found="the scheduler feature HRTICK_DL is off",
            consequence=without,
            remedy=_PERMIT,
        )
    return _unseen_timer(facts, without)


def _timer_on(facts: Facts) -> Finding:
    late, model = overrun_with_timer(facts), preemption_model(facts)
    known = late is not None and BOUNDS[model] is not None
    counted = as_time(late) if known and late is not None else "the tick"
    return Finding(
        subject="hrtick",
        level=Level.OK if known else Level.LIMITS,
        found="the scheduler feature HRTICK_DL is on",
        consequence=f"SCHED_DEADLINE budgets are counted as {counted} late, by the preemption "
        f"model ({model})",
        remedy="" if known else "preempt=full on the kernel's command line",
    )


def _unseen_timer(facts: Facts, without: str) -> Finding:
    """Where the features cannot be read rubicante counts the tick, whatever the kernel does."""
    has_option = facts.kernel.has_high_resolution_tick
    if not facts.whole and has_option:
        version = facts.kernel.version
        off = version is not None and version < _UNCERTAIN_DEFAULT
        return Finding(
            subject="hrtick",
            level=Level.LIMITS if off else Level.UNKNOWN,
            found="CONFIG_SCHED_HRTICK=y" + (", the feature HRTICK_DL is off by default" * off),
            consequence=without,
            remedy=_PERMIT,
        )
    option = {True: "CONFIG_SCHED_HRTICK=y, ", None: ""}.get(has_option, "")
    if facts.scheduler.lockdown in ("integrity", "confidentiality"):
        remedy = "lockdown forbids it: start the kernel without lockdown= and without Secure Boot"
    else:
        remedy = f"mount -t debugfs debugfs /sys/kernel/debug, and {_PERMIT}"
    is_known = has_option is not None or facts.scheduler.debugfs is not None
    return Finding(
        subject="hrtick",
        level=Level.LIMITS if is_known else Level.UNKNOWN,
        found=f"{option}/sys/kernel/debug/sched/features is not readable",
        consequence=without,
        remedy=remedy,
    )


def preemption_model(facts: Facts) -> Preemption:
    """As rubicante finds it, and by the kernel's options where only these are known."""
    kernel, scheduler = facts.kernel, facts.scheduler
    options = kernel.options or {}
    return judge_preemption(
        realtime=scheduler.realtime,
        banner=kernel.banner,
        chosen=scheduler.preempt,
        command_line=kernel.command_line,
        options={f"CONFIG_{name}={value}" for name, value in options.items()},
    )


def overrun_with_timer(facts: Facts) -> Nanoseconds | None:
    """δ of SCHED_DEADLINE with HRTICK_DL, as rubicante counts it; None where the tick is unknown.

    A measurement of the node may make it larger.
    """
    length, late = tick_of(facts), assumed_lateness(preemption_model(facts), None)
    return late if length is None else min(length, length if late is None else late)


def preemption(facts: Facts) -> Finding:
    """How long a thread in the kernel delays a real-time one, and the end of its own budget."""
    model = preemption_model(facts)
    if model is Preemption.UNKNOWN:
        return Finding(
            subject="preemption",
            level=Level.UNKNOWN,
            found="neither the options nor debugfs tell the model",
            consequence="a thread in a system call may run on by an unknown time",
            remedy="cat /sys/kernel/debug/sched/preempt",
        )
    dynamic = facts.kernel.is_set("PREEMPT_DYNAMIC") or "PREEMPT_DYNAMIC" in facts.kernel.banner
    preemptible = model in (Preemption.RT, Preemption.FULL)
    if preemptible:
        change = ""
    elif dynamic:
        change = "preempt=full on the kernel's command line"
    else:
        change = "needs another kernel: CONFIG_PREEMPT_DYNAMIC=y or PREEMPT_RT"
    bound = BOUNDS[model]
    counted = "as the tick" if bound is None else f"as {as_time(bound)}"
    name = "PREEMPT_RT" if model is Preemption.RT else model.value
    may_change = dynamic and model is not Preemption.RT
    return Finding(
        subject="preemption",
        level=Level.OK if preemptible else Level.LIMITS,
        found=f"{name}, may be changed at start" if may_change else name,
        consequence=f"the end of a budget beside long system calls: {_SEEN[model]}, counted "
        f"{counted} with HRTICK_DL; a budget has 0.1 ms for those of others, or what rubicante "
        "measures",
        remedy=change,
    )


def throttling(facts: Facts) -> Finding:
    """sched_rt_runtime_us: the bound of all real-time threads of a core."""
    limit = facts.scheduler.rt_limit
    subject = "rt-throttling"
    if limit is None:
        return Finding(
            subject=subject,
            level=Level.UNKNOWN,
            found="sched_rt_runtime_us is not readable",
            consequence="the share of real-time threads is not known",
            remedy="cat /proc/sys/kernel/sched_rt_runtime_us",
        )
    change = "sysctl -w kernel.sched_rt_runtime_us=950000"
    if limit < 0:
        return Finding(
            subject=subject,
            level=Level.LIMITS,
            found="sched_rt_runtime_us is -1",
            consequence="the kernel admits without a limit, and a real-time thread outside k40s "
            "can take a whole core",
            remedy=change,
        )
    if limit == 0:
        return Finding(
            subject=subject,
            level=Level.MISSING,
            found="sched_rt_runtime_us is 0",
            consequence="no real-time thread runs",
            remedy=change,
        )
    usual = Fraction(95, 100)
    return Finding(
        subject=subject,
        level=Level.OK if limit >= usual else Level.LIMITS,
        found=f"real-time threads have {as_share(limit)} of each core",
        consequence="the rest is for ordinary threads",
        remedy="" if limit >= usual else change,
    )
