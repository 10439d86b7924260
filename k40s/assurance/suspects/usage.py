"""CPU usage by pod and node in one sample: what the attribution of a hazard is computed from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from k40s.criticality import Criticality
from k40s.units import Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class PodIdentity:
    """What the cluster says of a pod: see ``PodUsage``."""

    name: str
    criticality: Criticality
    protected: bool = False


UNKNOWN_POD = PodIdentity(name="", criticality=Criticality.HI, protected=True)
"""A pod that the cluster says nothing of: its usage counts, and it is never named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodUsage:
    """A pod's counters. None where the kernel does not offer the source, or the read failed.

    ``used`` and ``system`` are CPU time since the pod's cgroup was made, in nanoseconds. Where
    ``cpus`` is None they count the node's own CPUs (cgroup v1, cpuacct by CPU); else they are
    totals over all CPUs of the machine, and ``cpus`` is the pod's cpuset (cgroup v2, cpu.stat).
    ``runnable`` counts threads that run or wait for one of the node's CPUs, ``pids`` all threads
    and processes (pids.current). ``protected`` marks system pods and the monitor's own pod.
    """

    name: str
    criticality: Criticality
    protected: bool = False
    used: int | None = None
    system: int | None = None
    cpus: frozenset[int] | None = None
    runnable: float | None = None
    pids: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeUsage:
    """One sample: counters of the node's own CPUs, and of every pod that was found, by uid.

    ``at`` is monotonic. ``used`` and ``system`` (with interrupts) are nanoseconds since boot.
    """

    at: Nanoseconds
    cpus: frozenset[int]
    used: int | None = None
    system: int | None = None
    runnable: float | None = None
    pods: Mapping[str, PodUsage] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if "" in self.pods:
            raise ValueError("a pod's usage names its uid")


def confined(sample: NodeUsage) -> NodeUsage:
    """The sample without pods whose totals do not tell about this node's CPUs.

    How much of such a total was used here is unknown, so it stays in what is outside the pods.
    """
    if all(pod.cpus is None or pod.cpus <= sample.cpus for pod in sample.pods.values()):
        return sample
    pods = {
        uid: pod for uid, pod in sample.pods.items() if pod.cpus is None or pod.cpus <= sample.cpus
    }
    return replace(sample, pods=pods)


def spent(earlier: float | None, later: float | None) -> float | None:
    """The increase of a counter; None where it is missing or went backwards."""
    if earlier is None or later is None or later < earlier:
        return None
    return later - earlier


def observed(samples: Sequence[NodeUsage], longest_gap: int) -> int:
    """Observed time in nanoseconds; gaps longer than ``longest_gap`` do not count."""
    gaps = [later.at - earlier.at for earlier, later in pairwise(samples)]
    return sum(gap for gap in gaps if gap <= longest_gap)
