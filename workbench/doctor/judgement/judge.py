"""All findings of a machine, in the order of their weight."""

from collections.abc import Callable

from workbench.doctor.facts import Facts
from workbench.doctor.findings import Finding, Verdict, describe
from workbench.doctor.judgement import enforcement, machine, surroundings
from workbench.doctor.judgement.deadlines import deadline
from workbench.doctor.judgement.rt_cgroups import rt_cgroup

Judge = Callable[[Facts], Finding]

_OF_THE_KERNEL: tuple[Judge, ...] = (
    rt_cgroup,
    deadline,
    enforcement.tick,
    enforcement.timer,
    enforcement.preemption,
)
_OF_THE_MACHINE: tuple[Judge, ...] = (
    enforcement.throttling,
    surroundings.cgroup_version,
    surroundings.options,
    surroundings.debugfs,
    surroundings.lockdown,
    surroundings.pressure,
    surroundings.kubelet,
    surroundings.rights,
    machine.isolation,
    machine.frequency,
    machine.clock,
    machine.threads_of_a_core,
    machine.swap,
    machine.hypervisor,
)


def judge(facts: Facts) -> Verdict:
    """The verdict; of a configuration alone, only what the kernel decides."""
    judges = _OF_THE_KERNEL + (_OF_THE_MACHINE if facts.whole else ())
    return Verdict(
        title=describe(facts), findings=tuple(one(facts) for one in judges), gaps=facts.gaps
    )
