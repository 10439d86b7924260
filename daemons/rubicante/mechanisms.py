"""The mechanisms of a node put together: what enforces, and what admission may count on."""

import threading
from fractions import Fraction

from daemons.rubicante.kernel.capability import Capability
from daemons.rubicante.kernel.homes import Homes
from daemons.rubicante.kernel.pod_tree import PodTree
from daemons.rubicante.kernel.rt_cgroup import BudgetGroups
from daemons.rubicante.kernel.rt_groups import RtCgroups
from daemons.rubicante.kernel.system import System
from daemons.rubicante.kernel.threads import Threads
from daemons.rubicante.placement import Kernel
from daemons.rubicante.settings import Settings
from k40s.cpu.model import CpuNode, Mechanism


def offered_node(settings: Settings, capability: Capability) -> CpuNode:
    """The node without reservations, before its platform is known."""
    return CpuNode(
        cores=settings.cpus,
        tick=capability.tick,
        node_capacity=min(settings.rt_capacity, capability.bandwidth),
        core_capacity=settings.core_capacity,
        platform="",
        platform_factor=Fraction(1),
    )


def enforcing_kernel(
    settings: Settings, system: System, capability: Capability, stop: threading.Event
) -> Kernel:
    """The back ends and what they work on. ``stop`` ends their waiting."""
    threads = Threads(system=system, proc=settings.proc_path)
    tree = PodTree(
        system=system, cpu_root=settings.cpu_cgroup_path, cgroup_root=settings.cgroup_root
    )
    homes = Homes(threads=threads, tree=tree, cores=capability.cores)
    groups = BudgetGroups(
        system=system,
        root=settings.cpu_cgroup_path,
        prefix=settings.group_prefix,
        wait=stop.wait,
    )
    return Kernel(
        back_ends={Mechanism.RT_CGROUP: RtCgroups(groups=groups, threads=threads, homes=homes)},
        threads=threads,
        tree=tree,
        homes=homes,
    )
