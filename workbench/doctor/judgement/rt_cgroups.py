"""Whether rubicante could offer rt-cgroups: real-time budgets of cgroup v1's cpu controller."""

from fractions import Fraction

from k40s.cpu.model import Mechanism
from workbench.doctor.facts import Facts, RtBudgets
from workbench.doctor.findings import Finding, Level
from workbench.doctor.judgement.view import ON_THE_NODE, sees_node
from workbench.table import as_share

_BY_DEADLINE = "no budget groups for SCHED_FIFO threads: pods are held by SCHED_DEADLINE"
_V1 = (
    "cgroup v1: systemd.unified_cgroup_hierarchy=0 on the kernel's command line "
    "(systemd 256 and 257 also want SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1, later ones have no v1), "
    "and failCgroupV1: false for kubelet 1.35"
)


def rt_cgroup(facts: Facts) -> Finding:
    """Budgets of the v1 cpu controller."""
    kernel, cgroups = facts.kernel, facts.cgroups
    if cgroups.rt is not None and sees_node(facts):
        return _with_budgets(facts, cgroups.rt)
    if kernel.is_set("RT_GROUP_SCHED") is False:
        return _missing(
            "CONFIG_RT_GROUP_SCHED is not set",
            _BY_DEADLINE,
            "needs another kernel: CONFIG_RT_GROUP_SCHED=y, with cgroup v1",
        )
    if not sees_node(facts):
        return _unknown("the cgroups of the node are not in sight", ON_THE_NODE)
    if cgroups.v2 is not None and "cpu" in cgroups.v2:
        return _on_v2(facts)
    if "cpu" in cgroups.v1:
        return _without_budgets(facts)
    return _without_controller(facts)


def _with_budgets(facts: Facts, rt: RtBudgets) -> Finding:
    limit = rt.limit
    if facts.scheduler.rt_limit is not None and facts.scheduler.rt_limit >= 0:
        limit = min(limit, facts.scheduler.rt_limit)
    free = max(Fraction(0), limit - sum(rt.foreign.values(), Fraction(0)))
    holders = ", ".join(f"{name} {as_share(share)}" for name, share in rt.foreign.items())
    found = f"cpu.rt_runtime_us: {as_share(limit)} of each core"
    found += f", k40s holds {as_share(rt.own)}" if rt.own else ""
    found += f"; others hold {holders}" if holders else ""
    if "RT_RUNTIME_SHARE" in (facts.scheduler.features or ()):
        return _missing(
            "the scheduler feature RT_RUNTIME_SHARE is on",
            "groups borrow each other's budgets: 0.30 got 0.62 of a core on two CPUs",
            "echo NO_RT_RUNTIME_SHARE > /sys/kernel/debug/sched/features",
        )
    if free == 0:
        return _missing(found, "nothing is left for budget groups", _to_release(rt))
    if holders:
        left = f"{as_share(free)} of each core is left for budget groups"
        return _limited(found, left, _to_release(rt))
    if facts.kernel.is_set("CFS_BANDWIDTH") is False:
        return _limited(
            f"{found}; CONFIG_CFS_BANDWIDTH is not set",
            "children of real-time threads may use CPUs that nobody else wants",
            "needs another kernel: CONFIG_CFS_BANDWIDTH=y",
        )
    return Finding(
        subject=Mechanism.RT_CGROUP.value,
        level=Level.OK,
        found=found,
        consequence="budget groups shared between cores hold SCHED_FIFO threads to (Q, P)",
    )


def _to_release(rt: RtBudgets) -> str:
    """The line that frees the largest budget of others, or the kernel's own limit."""
    if not rt.foreign:
        return "sysctl -w kernel.sched_rt_runtime_us=950000"
    name = max(rt.foreign, key=lambda one: rt.foreign[one])
    return f"echo 0 > /sys/fs/cgroup/cpu/{name}/cpu.rt_runtime_us"


def _on_v2(facts: Facts) -> Finding:
    if facts.kernel.is_set("RT_GROUP_SCHED") is None:
        return _missing(
            "cgroup v2 has the cpu controller",
            "cgroup v2 has no real-time budgets: pods are held by SCHED_DEADLINE",
            f"a kernel with CONFIG_RT_GROUP_SCHED=y and {_V1}",
        )
    return _missing(
        "CONFIG_RT_GROUP_SCHED=y, but cgroup v2 has the cpu controller",
        "cgroup v2 has no real-time budgets, and with this option SCHED_FIFO is refused (EPERM) "
        "outside the root cgroup: only SCHED_DEADLINE holds pods",
        _V1,
    )


def _without_budgets(facts: Facts) -> Finding:
    if facts.kernel.is_set("RT_GROUP_SCHED_DEFAULT_DISABLED"):
        return _missing(
            "CONFIG_RT_GROUP_SCHED is off by default",
            _BY_DEADLINE,
            "rt_group_sched=1 on the kernel's command line",
        )
    return _missing(
        "the v1 cpu hierarchy has no cpu.rt_runtime_us",
        _BY_DEADLINE,
        "needs another kernel: CONFIG_RT_GROUP_SCHED=y",
    )


def _without_controller(facts: Facts) -> Finding:
    cgroups = facts.cgroups
    if facts.whole and (cgroups.v1 or cgroups.v2 is not None):
        return _missing(
            "no mounted hierarchy has the cpu controller",
            _BY_DEADLINE,
            "mount -t cgroup -o cpu cgroup /sys/fs/cgroup/cpu",
        )
    if not facts.whole:
        return _unknown(
            "CONFIG_RT_GROUP_SCHED=y, for cgroup v1 only", "give --cgroup-version as well"
        )
    return _unknown("neither options nor hierarchies are in sight", ON_THE_NODE)


def _missing(found: str, consequence: str, remedy: str) -> Finding:
    return _finding(Level.MISSING, found, consequence, remedy)


def _limited(found: str, consequence: str, remedy: str) -> Finding:
    return _finding(Level.LIMITS, found, consequence, remedy)


def _unknown(found: str, remedy: str) -> Finding:
    return _finding(Level.UNKNOWN, found, "cannot be judged from here", remedy)


def _finding(level: Level, found: str, consequence: str, remedy: str) -> Finding:
    return Finding(
        subject=Mechanism.RT_CGROUP.value,
        level=level,
        found=found,
        consequence=consequence,
        remedy=remedy,
    )
