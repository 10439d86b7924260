"""What k40s sees of the kernel, and what is around it: cgroups, debugfs, kubelet, rights."""

from workbench.doctor.facts import Facts
from workbench.doctor.findings import Finding, Level

_MOUNT = "mount -t debugfs debugfs /sys/kernel/debug"
_LOCKED = ("integrity", "confidentiality")


def cgroup_version(facts: Facts) -> Finding:
    """Which hierarchies are mounted."""
    cgroups = facts.cgroups
    subject = "cgroups"
    if not cgroups.v1 and cgroups.v2 is None:
        return Finding(
            subject=subject,
            level=Level.UNKNOWN,
            found="no hierarchy is in the table of mounts",
            consequence="neither budgets nor cpusets can be judged",
            remedy="run it on the node, or with --root where the node's root is mounted",
        )
    names = [f"v1: {', '.join(sorted(cgroups.v1))}"] if cgroups.v1 else []
    if cgroups.v2 is not None:
        names.append(f"v2: {', '.join(sorted(cgroups.v2)) or 'no controllers'}")
    if cgroups.partitions:
        partitions = ", ".join(f"{name} ({state})" for name, state in cgroups.partitions.items())
        names.append(f"partitions: {partitions}")
    usable = {"cpu", "cpuset"} <= cgroups.v1 | (cgroups.v2 or frozenset())
    return Finding(
        subject=subject,
        level=Level.OK if usable else Level.LIMITS,
        found="; ".join(names),
        consequence="budgets, pods and cpusets are found"
        if usable
        else "without the controllers cpu and cpuset pods cannot be held to cores",
        remedy="" if usable else "mount the hierarchies with cpu and cpuset",
    )


def options(facts: Facts) -> Finding:
    """Whether the kernel's options could be read."""
    kernel = facts.kernel
    if kernel.options is None:
        return Finding(
            subject="kernel-options",
            level=Level.UNKNOWN,
            found="neither /proc/config.gz nor /boot/config-* is readable",
            consequence="what the kernel was built with is judged by its files alone",
            remedy="k40s doctor --config FILE, with the kernel's configuration",
        )
    return Finding(
        subject="kernel-options", level=Level.OK, found=f"read from {kernel.options_from}"
    )


def debugfs(facts: Facts) -> Finding:
    """The scheduler's files in debugfs."""
    scheduler = facts.scheduler
    cost = (
        "rubicante assumes the defaults: enforcement at the tick, a fair server of 0.05 of each "
        "CPU, no foreign DEADLINE threads; throttling and lost bandwidth are not seen"
    )
    if scheduler.domains and scheduler.features is not None:
        return Finding(
            subject="debugfs", level=Level.OK, found="sched/debug and sched/features are readable"
        )
    if scheduler.domains:
        return Finding(
            subject="debugfs",
            level=Level.LIMITS,
            found="sched/debug is readable, sched/features is not",
            consequence="the high-resolution tick can be neither seen nor switched on",
            remedy=_unlock(facts) or "run it as root",
        )
    if facts.kernel.is_set("DEBUG_FS") is False:
        return Finding(
            subject="debugfs",
            level=Level.MISSING,
            found="CONFIG_DEBUG_FS is not set",
            consequence=cost,
            remedy="needs another kernel: CONFIG_DEBUG_FS=y",
        )
    if scheduler.debugfs:
        return Finding(
            subject="debugfs",
            level=Level.LIMITS,
            found="mounted, but /sys/kernel/debug/sched is not readable",
            consequence=cost,
            remedy=_unlock(facts) or "run it as root; in a pod, mount the node's /sys/kernel/debug",
        )
    if scheduler.debugfs is None:
        return Finding(
            subject="debugfs",
            level=Level.UNKNOWN,
            found="the table of mounts is not readable",
            consequence="what rubicante would see of the scheduler is not known",
            remedy="run it on the node, or with --root where the node's root is mounted",
        )
    return Finding(
        subject="debugfs",
        level=Level.LIMITS,
        found="not mounted",
        consequence=cost,
        remedy=_MOUNT,
    )


def _unlock(facts: Facts) -> str:
    locked = facts.scheduler.lockdown in _LOCKED
    return "start the kernel without lockdown= and without Secure Boot" if locked else ""


def lockdown(facts: Facts) -> Finding:
    """Kernel lockdown, which forbids to write the scheduler's features."""
    mode = facts.scheduler.lockdown
    if mode in _LOCKED:
        return Finding(
            subject="lockdown",
            level=Level.LIMITS,
            found=mode,
            consequence="HRTICK_DL cannot be switched on, and fair servers cannot be changed",
            remedy="start the kernel without lockdown= and without Secure Boot",
        )
    if mode == "none" or facts.kernel.is_set("SECURITY_LOCKDOWN_LSM") is False:
        return Finding(subject="lockdown", level=Level.OK, found="none")
    return Finding(
        subject="lockdown",
        level=Level.UNKNOWN,
        found="/sys/kernel/security/lockdown is not readable",
        consequence="whether the scheduler's features may be changed is not known",
        remedy="mount -t securityfs securityfs /sys/kernel/security",
    )


def pressure(facts: Facts) -> Finding:
    """Pressure stall information, which malacoda samples."""
    if facts.scheduler.pressure is None:
        return Finding(
            subject="psi", level=Level.UNKNOWN, found="/proc is not readable", remedy="run it there"
        )
    if facts.scheduler.pressure:
        return Finding(subject="psi", level=Level.OK, found="/proc/pressure is there")
    has_option = facts.kernel.is_set("PSI")
    remedy = "psi=1 on the kernel's command line"
    return Finding(
        subject="psi",
        level=Level.LIMITS,
        found="no /proc/pressure",
        consequence="the assurance monitor works without the metrics of pressure",
        remedy="needs another kernel: CONFIG_PSI=y" if has_option is False else remedy,
    )


def kubelet(facts: Facts) -> Finding:
    """Kubelet's cgroup driver, and a CPU manager that writes cpusets itself."""
    seen = facts.kubelet
    if seen.cpu_manager == "static":
        return Finding(
            subject="kubelet",
            level=Level.LIMITS,
            found=f"cgroup driver {seen.driver or 'unknown'}, cpuManagerPolicy: static",
            consequence="kubelet writes containers' cpusets again and undoes cores set by k40s",
            remedy="cpuManagerPolicy: none in kubelet's configuration",
        )
    if seen.driver:
        return Finding(
            subject="kubelet",
            level=Level.OK,
            found=f"cgroup driver {seen.driver}",
            consequence="both drivers' names of pods' cgroups are understood",
        )
    return Finding(
        subject="kubelet",
        level=Level.UNKNOWN,
        found="neither its configuration nor a cgroup kubepods is in sight",
        consequence="pods are looked for in the cgroups of either driver",
        remedy="run it on a node, or read /var/lib/kubelet/config.yaml with --root",
    )


def rights(facts: Facts) -> Finding:
    """What this process may do: rubicante has rights of its own, by its manifest."""
    own = facts.rights
    if own.sys_nice is None:
        return Finding(
            subject="rights",
            level=Level.UNKNOWN,
            found="/proc/self/status is not readable",
            consequence="what this process may do is not known",
            remedy="mount /proc",
        )
    has = [
        name for name, held in (("SYS_NICE", own.sys_nice), ("SYS_ADMIN", own.sys_admin)) if held
    ]
    found = f"capabilities {', '.join(has) or 'none of SYS_NICE, SYS_ADMIN'}"
    found += f", rtprio {own.rtprio or '?'}, memlock {own.memlock or '?'}"
    if not own.sees_host:
        return Finding(
            subject="rights",
            level=Level.LIMITS,
            found=f"{found}; outside the host's PID namespace",
            consequence="a container sees its own cgroups, not the node's",
            remedy="kubectl debug node/NODE -it --image=IMAGE --profile=sysadmin -- "
            "k40s doctor --root /host",
        )
    if not own.sys_nice:
        return Finding(
            subject="rights",
            level=Level.LIMITS,
            found=found,
            consequence="this process could not make a thread real-time; rubicante's manifest "
            "gives it what it needs, pods need nothing",
            remedy="for a program of your own: setcap cap_sys_nice+ep FILE",
        )
    return Finding(
        subject="rights", level=Level.OK, found=found, consequence="enough to enforce budgets"
    )
