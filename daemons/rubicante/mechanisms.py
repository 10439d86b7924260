"""The mechanisms of a node put together: what enforces, and what admission may count on."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from daemons.rubicante.deadline_access import DeadlineAccess, DeadlineMechanism
from daemons.rubicante.kernel.ancestors import ANCESTOR_PERIOD
from daemons.rubicante.kernel.capability import (
    Capability,
    RtSupport,
    combine,
    find_rt_cgroups,
    tick_length,
)
from daemons.rubicante.kernel.homes import Homes
from daemons.rubicante.kernel.pod_tree import TASKS_V1, TASKS_V2, PodTree
from daemons.rubicante.kernel.root_domain import DeadlineSupport, Partitions
from daemons.rubicante.kernel.rt_bandwidth import RtBandwidth
from daemons.rubicante.kernel.rt_cgroup import BudgetGroups
from daemons.rubicante.kernel.system import System
from daemons.rubicante.kernel.threads import Threads
from daemons.rubicante.placement import Kernel
from daemons.rubicante.places import exists, reads
from daemons.rubicante.rt_setup import RtEnforcement, ours_at_the_top, rt_enforcement
from daemons.rubicante.settings import Groups, Settings
from k40s.cpu.model import CpuNode, Mechanism, Reservation
from k40s.units import Nanoseconds

log = logging.getLogger(__name__)


def bare_node(settings: Settings) -> CpuNode:
    """The node before its kernel was asked: nothing is admitted there."""
    return CpuNode(
        cores=settings.cpus,
        tick=Nanoseconds(0),
        node_capacity=Fraction(0),
        core_capacity=settings.core_capacity,
        platform="",
        platform_factor=Fraction(1),
    )


class Mechanisms:
    """Asks the kernel at the start, and for SCHED_DEADLINE again when it refuses.

    ``held`` are the reservations of the book, whose threads may run already. Without ``access``
    there is no SCHED_DEADLINE. ``stop`` ends waiting for the kernel.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        system: System,
        access: DeadlineAccess | None,
        held: Sequence[Reservation],
        stop: threading.Event,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._wait = stop.wait
        self._system = system
        self._threads = Threads(system=system, proc=settings.proc_path)
        self._groups = BudgetGroups(
            system=system,
            root=settings.cpu_cgroup_path,
            prefix=settings.group_prefix,
            wait=stop.wait,
        )
        self._bandwidth = RtBandwidth(
            system=system,
            cpu_root=settings.cpu_cgroup_path,
            proc=settings.proc_path,
            is_ours=ours_at_the_top(settings, self._groups),
        )
        self._tick = settings.tick if settings.tick is not None else tick_length()
        self._deadline = (
            None
            if access is None
            else DeadlineMechanism(
                settings, access, system=system, tick=self._tick, stop=stop, clock=clock
            )
        )
        support, partitions = self._ask_for_deadline(held)
        self._rt_cgroups = self._find_rt_cgroups()
        self.capability = self._combine(support)
        self._foreign: Mapping[str, Fraction] = {}
        self._rt: RtEnforcement | None = None
        self.kernel = self._kernel(access)
        if self._deadline is not None and self.capability.deadline is not None:
            self._deadline.start(self.kernel, self.capability.deadline, partitions)

    def is_due(self) -> bool:
        """Whether SCHED_DEADLINE should be looked at again; from any thread."""
        return self._deadline is not None and self._deadline.is_due()

    def look(self, held: Sequence[Reservation]) -> None:
        """Ask the kernel again; ``capability`` and ``node`` then tell what it offers."""
        if self._deadline is not None:
            self.capability = self._combine(self._deadline.look(self.kernel, held))

    def node(self) -> CpuNode:
        """The node without reservations and platform, as much of it as others leave at present."""
        found, settings = self.capability, self._settings
        return replace(
            bare_node(settings),
            tick=found.tick,
            node_capacity=Fraction(0) if found.bandwidth is None else self._node_capacity(),
            shared_groups=settings.groups is Groups.SHARED,
            deadline=found.deadline,
            packing=settings.packing,
            ancestor_period=ANCESTOR_PERIOD if settings.groups is Groups.CONTAINER else None,
        )

    def foreign(self) -> Mapping[str, Fraction]:
        """Real-time bandwidth of groups that are not ours, by name, as ``node`` last saw it."""
        return self._foreign

    def close(self) -> None:
        """End what this process keeps open; what is enforced stays enforced."""
        if self._deadline is not None:
            self._deadline.close(self.kernel)

    def _node_capacity(self) -> Fraction:
        share, _ = self._bandwidth.read()
        if self._rt is not None:
            share = replace(share, foreign={**share.foreign, **self._rt.foreign()})
        if share.foreign != self._foreign:
            self._foreign = share.foreign
            log.warning(
                "real-time budgets of other groups",
                extra={"groups": {name: str(s) for name, s in share.foreign.items()}},
            )
        return min(self._settings.rt_capacity, share.free)

    def _combine(self, deadline: DeadlineSupport | None) -> Capability:
        settings = self._settings
        found = combine(
            system=self._system,
            proc=settings.proc_path,
            wanted_cores=frozenset(settings.cpus),
            tick=self._tick,
            rt_cgroups=self._rt_cgroups,
            deadline=deadline,
        )
        if settings.dry_run:
            return replace(found, problems=(*found.problems, "dry run"))
        return found

    def _find_rt_cgroups(self) -> RtSupport | None:
        if not self._uses(Mechanism.RT_CGROUP):
            return None
        return find_rt_cgroups(
            system=self._system,
            bandwidth=self._bandwidth,
            cpu_root=self._settings.cpu_cgroup_path,
            debug=self._settings.scheduler_debug_path,
            prefix=self._settings.group_prefix,
        )

    def _ask_for_deadline(
        self, held: Sequence[Reservation]
    ) -> tuple[DeadlineSupport | None, Partitions | None]:
        if self._deadline is None:
            return None, None
        if self._uses(Mechanism.DEADLINE):
            return self._deadline.ask(held)
        self._deadline.withdraw()
        return None, None

    def _kernel(self, access: DeadlineAccess | None) -> Kernel:
        settings, cores = self._settings, self.capability.cores
        v1 = exists(self._system, settings.cpu_cgroup_path)
        tree = PodTree(
            system=self._system,
            cpu_root=settings.cpu_cgroup_path if v1 else settings.unified_cgroup_path,
            cgroup_root=settings.cgroup_root,
            tasks=TASKS_V1 if v1 else TASKS_V2,
        )
        homes = Homes(threads=self._threads, tree=tree, cores=cores)
        kernel = Kernel(back_ends={}, threads=self._threads, tree=tree, homes=homes)
        if reads(self._system, settings.cpu_cgroup_path / "cpu.rt_runtime_us"):
            self._rt = rt_enforcement(
                settings,
                system=self._system,
                groups=self._groups,
                threads=self._threads,
                tree=tree,
                homes=homes,
                attributes=None if access is None else access.attributes,
                tick=self._tick,
                wait=self._wait,
                clock=self._clock,
            )
            kernel.back_ends[Mechanism.RT_CGROUP] = self._rt.back_end
        return kernel

    def _uses(self, mechanism: Mechanism) -> bool:
        return mechanism.value in self._settings.mechanisms
