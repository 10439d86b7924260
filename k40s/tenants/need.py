"""What a pod counts for its tenant, from its workload alone: the same on every node."""

from fractions import Fraction

from k40s.cpu.model import Mechanism
from k40s.cpu.workload import TaskContract, Workload
from k40s.tenants.cpus import round_up
from k40s.tenants.model import Need


def need_of(workload: Workload, *, uid: str, namespace: str) -> Need:
    """The sum of C/T of its tasks, each on its slowest platform, rounded up to 1e-9 CPUs.

    C/D for a deadline D below T, unless the pod asks for rt-cgroup: SCHED_DEADLINE reserves that,
    and a node may choose it. By C/T a task of 0.5 ms in 1 ms, once a second, would count 0.0005
    CPUs and take half a core.

    A baseline counts as it stands, for the reference platform: which factors there are depends on
    the nodes, and what a pod counts may not.
    """
    by_deadline = workload.mechanism is not Mechanism.RT_CGROUP
    bandwidth = sum(
        (_bandwidth(task, by_deadline=by_deadline) for task in workload.tasks), Fraction(0)
    )
    return Need(
        uid=uid,
        namespace=namespace,
        criticality=workload.criticality,
        bandwidth=round_up(bandwidth),
    )


def _bandwidth(task: TaskContract, *, by_deadline: bool) -> Fraction:
    table = task.wcet.by_platform
    wcet = max(table.values()) if table is not None else task.wcet.baseline or 0
    return Fraction(wcet, task.deadline if by_deadline else task.period)
