"""What makes jobs late or slow although their budgets are kept: CPUs, clocks, the host."""

from fractions import Fraction

from workbench.doctor.facts import Facts
from workbench.doctor.findings import Finding, Level
from workbench.table import as_share

_EXACT_CLOCKS = ("tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page")
_NOTABLE_STEAL = Fraction(1, 1000)


def _text(cpus: frozenset[int]) -> str:
    return ",".join(map(str, sorted(cpus)))


def _real_time(facts: Facts) -> str:
    """All CPUs but the first, as an example of those that K40S_CPUS names."""
    return _text(facts.machine.online - {min(facts.machine.online, default=0)}) or "LIST"


def isolation(facts: Facts) -> Finding:
    """CPUs that ordinary threads and the tick leave alone."""
    machine, partitions = facts.machine, facts.cgroups.partitions
    names = []
    if machine.isolated:
        names.append(f"isolated CPUs {_text(machine.isolated)}")
    if machine.nohz_full:
        names.append(f"nohz_full {_text(machine.nohz_full)}")
    if partitions:
        names.append(f"{len(partitions)} cpuset partitions")
    if names:
        return Finding(subject="isolation", level=Level.OK, found=", ".join(names))
    if not machine.online:
        return Finding(
            subject="isolation",
            level=Level.UNKNOWN,
            found="/sys/devices/system/cpu is not readable",
            consequence="whether ordinary threads run on every CPU is not known",
            remedy="cat /sys/devices/system/cpu/isolated",
        )
    return Finding(
        subject="isolation",
        level=Level.LIMITS,
        found="every CPU runs ordinary threads",
        consequence="system calls of others delay a wake-up: from 0.06 ms (99 %) on a core of its "
        "own to 0.6 to 1.6 ms beside stress of the file system",
        remedy=f"isolcpus=managed_irq,domain,{_real_time(facts)} on the kernel's command line",
    )


def frequency(facts: Facts) -> Finding:
    """Frequency governor and turbo: a WCET holds at the frequency at which it was measured."""
    governors, turbo = facts.machine.governors, facts.machine.turbo
    if not governors and not facts.machine.online:
        return Finding(
            subject="frequency",
            level=Level.UNKNOWN,
            found="/sys/devices/system/cpu is not readable",
            consequence="whether a CPU's speed changes is not known",
            remedy="cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
        )
    if not governors:
        return Finding(
            subject="frequency",
            level=Level.OK,
            found="no frequency scaling in sight",
            consequence="the firmware or the host decides",
        )
    slow = sorted(governors - {"performance"})
    found = f"governor {', '.join(sorted(governors))}"
    found += {True: ", turbo on", False: ", turbo off", None: ""}[turbo]
    if slow:
        return Finding(
            subject="frequency",
            level=Level.LIMITS,
            found=found,
            consequence="a WCET that was measured at full speed does not hold at a lower one",
            remedy="cpupower frequency-set -g performance",
        )
    if turbo:
        return Finding(
            subject="frequency",
            level=Level.LIMITS,
            found=found,
            consequence="a WCET that was measured alone does not hold when all cores are busy",
            remedy="echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo (or 0 > cpufreq/boost)",
        )
    return Finding(subject="frequency", level=Level.OK, found=found)


def clock(facts: Facts) -> Finding:
    """The clock source, which times timers and budgets."""
    name = facts.machine.clock
    if not name:
        return Finding(
            subject="clock",
            level=Level.UNKNOWN,
            found="the clock source is not readable",
            consequence="how exact timers are is not known",
            remedy="cat /sys/devices/system/clocksource/clocksource0/current_clocksource",
        )
    exact = name in _EXACT_CLOCKS
    return Finding(
        subject="clock",
        level=Level.OK if exact else Level.LIMITS,
        found=name,
        consequence="" if exact else "reading the time takes longer, or is coarse",
        remedy="" if exact else "tsc=reliable on the kernel's command line, where the TSC is",
    )


def threads_of_a_core(facts: Facts) -> Finding:
    """Hardware threads that share a core."""
    if facts.machine.smt is None:
        return Finding(
            subject="smt",
            level=Level.UNKNOWN,
            found="/sys/devices/system/cpu/smt is not readable",
            consequence="whether two CPUs share a core is not known",
            remedy="cat /sys/devices/system/cpu/smt/active",
        )
    if facts.machine.smt:
        return Finding(
            subject="smt",
            level=Level.LIMITS,
            found="on",
            consequence="a job runs up to twice as long while its sibling is busy",
            remedy="echo off > /sys/devices/system/cpu/smt/control, or nosmt at start",
        )
    return Finding(subject="smt", level=Level.OK, found="off")


def swap(facts: Facts) -> Finding:
    """Swapping, which makes a thread wait for a disk."""
    devices = facts.machine.swap
    if devices is None:
        return Finding(
            subject="swap",
            level=Level.UNKNOWN,
            found="/proc/swaps is not readable",
            consequence="whether memory may be swapped out is not known",
            remedy="cat /proc/swaps",
        )
    if devices:
        return Finding(
            subject="swap",
            level=Level.LIMITS,
            found=f"on: {', '.join(devices)}",
            consequence="memory that is not locked may have to come from a disk: milliseconds",
            remedy="swapoff -a, and lock memory (mlockall) in the application",
        )
    return Finding(subject="swap", level=Level.OK, found="off")


def hypervisor(facts: Facts) -> Finding:
    """A host that may take the CPU away."""
    machine = facts.machine
    if machine.hypervisor is None:
        return Finding(
            subject="hypervisor",
            level=Level.UNKNOWN,
            found="/proc/cpuinfo is not readable",
            consequence="whether a host takes CPU time is not known",
            remedy="cat /proc/cpuinfo",
        )
    steal = machine.steal or Fraction(0)
    if machine.hypervisor or steal >= _NOTABLE_STEAL:
        return Finding(
            subject="hypervisor",
            level=Level.LIMITS,
            found=f"a virtual machine, {as_share(steal)} of its CPU time stolen since the start",
            consequence="while the host takes a CPU away no budget and no deadline holds",
            remedy="dedicated CPUs on the host, or a machine without a hypervisor",
        )
    return Finding(subject="hypervisor", level=Level.OK, found="none in sight")
