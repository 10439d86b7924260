"""The kernel's interfaces on this node, found without changing anything.

Unlike ``Mechanisms``, this makes no group and changes no root domain, whatever the settings.
"""

import threading
from pathlib import Path

from daemons.rubicante.kernel.probes.thread import LinuxProbes, StartProbe
from daemons.rubicante.kernel.rt_budget import RtBudgets, has_rt_budgets
from daemons.rubicante.kernel.saved_values import SavedValues
from daemons.rubicante.kernel.system import System, is_readable
from daemons.rubicante.kernel.threads import Threads
from daemons.rubicante.mechanisms.back_ends import BackEnds
from daemons.rubicante.mechanisms.deadline.affinity import (
    Affinity,
    CpusetCores,
    PinnedCores,
    PodCores,
)
from daemons.rubicante.mechanisms.deadline.assembly import existing_partitions
from daemons.rubicante.mechanisms.deadline.back_end import DeadlineBackEnd
from daemons.rubicante.mechanisms.deadline.core_cpusets import CorePartitions
from daemons.rubicante.mechanisms.deadline.offer import DeadlineAccess
from daemons.rubicante.mechanisms.deadline.pod_partitions import PodPartitions
from daemons.rubicante.mechanisms.origins import Origins
from daemons.rubicante.mechanisms.paths import (
    find_hrtick,
    find_kernel_paths,
    find_origin_log,
    find_pod_tree,
    with_resolved_root,
)
from daemons.rubicante.mechanisms.rt_cgroup.assembly import ForeignBandwidth, rt_enforcement
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import BudgetGroups
from daemons.rubicante.mechanisms.timer.hrtick import HrtickFeature
from daemons.rubicante.settings import Settings
from k40s.cpu.model import Mechanism
from k40s.node_agent.tick import tick_length
from k40s.units import MonotonicClock

_REBUILD = "rebuild"
_PROBE = "probe"


class NodeInterfaces:
    """All kernel interfaces that may hold k40s's state. ``clock`` is monotonic, in seconds."""

    def __init__(
        self,
        settings: Settings,
        *,
        system: System,
        access: DeadlineAccess | None,
        stop: threading.Event,
        clock: MonotonicClock,
    ) -> None:
        """Raises ``KernelError`` and ``OSError``."""
        self.settings = settings
        self.system = system
        self.access = access
        self._stop = stop
        settings, _ = with_resolved_root(settings, system)
        self.paths = find_kernel_paths(settings, system)
        self.saved = SavedValues(
            system=system, proc=settings.proc_path, file=self.paths.saved_values
        )
        self.threads = Threads(system=system, proc=settings.proc_path)
        self.tree = find_pod_tree(settings, system)
        self.origin_log = find_origin_log(settings, system)
        self.origins = Origins(
            threads=self.threads, tree=self.tree, cores=system.online(), log=self.origin_log
        )
        self.groups = BudgetGroups(
            system=system,
            root=settings.cpu_cgroup_path,
            prefix=settings.group_prefix,
            wait=stop.wait,
        )
        self.files = RtBudgets(system=system, wait=stop.wait)
        self.back_ends = BackEnds(
            by_mechanism={}, threads=self.threads, tree=self.tree, origins=self.origins
        )
        self.foreign: ForeignBandwidth = dict
        if has_rt_budgets(system, settings.cpu_cgroup_path):
            rt = rt_enforcement(
                settings,
                system=system,
                groups=self.groups,
                threads=self.threads,
                tree=self.tree,
                origins=self.origins,
                attributes=None if access is None else access.attributes,
                tick=settings.tick if settings.tick is not None else tick_length(),
                wait=stop.wait,
                clock=clock,
            )
            self.back_ends.by_mechanism[Mechanism.RT_CGROUP] = rt.back_end
            self.foreign = rt.foreign
        if access is not None:
            self.back_ends.by_mechanism[Mechanism.DEADLINE] = self._deadline(access, clock)

    def hrtick(self) -> HrtickFeature:
        """The scheduler feature HRTICK_DL, which an earlier process may have switched on."""
        return find_hrtick(self.settings, self.system)

    def partitions(self) -> CorePartitions | PodPartitions | None:
        """How cores become root domains here; None without SCHED_DEADLINE."""
        if self.access is None:
            return None
        return existing_partitions(
            self.system,
            self.paths,
            self.settings.group_prefix,
            self.probe_starter(self.access),
        )

    def probe_cgroups(self) -> tuple[Path, ...]:
        """Cgroups that are made for a probe, of a process that died meanwhile."""
        prefix, paths = self.settings.group_prefix, self.paths
        probe = f"{prefix}-{_PROBE}"
        found = [self.settings.cpu_cgroup_path / probe]
        found += [] if paths.cpusets is None else [paths.cpusets / f"{prefix}-{_REBUILD}"]
        found += [] if paths.pods is None else [paths.pods / probe]
        return tuple(path for path in found if is_readable(self.system, path))

    def probe_starter(self, access: DeadlineAccess) -> StartProbe:
        """Starts threads that probe the kernel."""
        return access.start_probe or LinuxProbes(access.attributes)

    def _deadline(self, access: DeadlineAccess, clock: MonotonicClock) -> DeadlineBackEnd:
        return DeadlineBackEnd(
            attributes=access.attributes,
            threads=self.threads,
            origins=self.origins,
            tree=self.tree,
            affinity=self._affinity(self.probe_starter(access)),
            wait=self._stop.wait,
            clock=clock,
        )

    def _affinity(self, start_probe: StartProbe) -> Affinity:
        """The affinity mode that can restore threads from their present CPUs."""
        partitions = self.partitions()
        if isinstance(partitions, CorePartitions):
            return CpusetCores(threads=self.threads, start_probe=start_probe, partitions=partitions)
        if isinstance(partitions, PodPartitions) and partitions.partitions():
            return PodCores(
                threads=self.threads,
                start_probe=start_probe,
                partitions=partitions,
                tree=self.tree,
            )
        return PinnedCores(threads=self.threads, start_probe=start_probe)
