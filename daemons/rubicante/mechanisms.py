"""The mechanisms of a node put together: what enforces, and what admission may count on."""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from daemons.rubicante.kernel.capability import (
    Capability,
    RtSupport,
    combine,
    find_rt_cgroups,
    tick_length,
)
from daemons.rubicante.kernel.deadline import DeadlineThreads
from daemons.rubicante.kernel.deadline_setup import (
    ask_for_deadline,
    deadline_back_end,
    withdraw,
)
from daemons.rubicante.kernel.homes import Homes
from daemons.rubicante.kernel.parking import LinuxPark, Park
from daemons.rubicante.kernel.pod_tree import TASKS_V1, TASKS_V2, PodTree
from daemons.rubicante.kernel.root_domain import DeadlineSupport, Partitions
from daemons.rubicante.kernel.rt_bandwidth import RtBandwidth
from daemons.rubicante.kernel.rt_cgroup import BudgetGroups
from daemons.rubicante.kernel.rt_groups import RtCgroups
from daemons.rubicante.kernel.sched_attr import Attributes
from daemons.rubicante.kernel.system import System
from daemons.rubicante.kernel.threads import Threads
from daemons.rubicante.placement import Kernel
from daemons.rubicante.places import exists, find_places, reads
from daemons.rubicante.settings import Groups, Settings
from k40s.cpu.model import CpuNode, Mechanism, Reservation
from k40s.units import Nanoseconds

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineAccess:
    """The way to SCHED_DEADLINE; ``park`` asks the kernel, None with threads of this process."""

    attributes: Attributes
    park: Park | None = None


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
    """Asks the kernel once, at the start. ``stop`` ends waiting for it.

    ``held`` are the reservations of the book, whose threads may run already. Without ``access``
    there is no SCHED_DEADLINE.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        system: System,
        access: DeadlineAccess | None,
        held: Sequence[Reservation],
        stop: threading.Event,
    ) -> None:
        self._settings = settings
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
            is_ours=self._groups.is_ours,
        )
        self._tick = settings.tick if settings.tick is not None else tick_length()
        deadline, partitions = self._ask_for_deadline(access, held)
        self.capability = self._combine(deadline)
        self._foreign: Mapping[str, Fraction] = {}
        self.kernel = self._kernel(access, partitions, stop)

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
        )

    def foreign(self) -> Mapping[str, Fraction]:
        """Real-time bandwidth of groups that are not ours, by name, as ``node`` last saw it."""
        return self._foreign

    def close(self) -> None:
        """End what this process keeps open; what is enforced stays enforced."""
        for back_end in self.kernel.back_ends.values():
            if isinstance(back_end, DeadlineThreads):
                back_end.close()

    def _node_capacity(self) -> Fraction:
        share, _ = self._bandwidth.read()
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
            rt_cgroups=self._find_rt_cgroups(),
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
        self, access: DeadlineAccess | None, held: Sequence[Reservation]
    ) -> tuple[DeadlineSupport | None, Partitions | None]:
        if access is None:
            return None, None
        settings = self._settings
        if not self._uses(Mechanism.DEADLINE):
            self._withdraw_deadline(access)
            return None, None
        by_core: dict[int, Fraction] = {}
        for reservation in held:
            if reservation.mechanism is Mechanism.DEADLINE:
                before = by_core.get(reservation.core, Fraction(0))
                by_core[reservation.core] = before + reservation.server.bandwidth
        return ask_for_deadline(
            system=self._system,
            attributes=access.attributes,
            places=find_places(settings, self._system),
            prefix=settings.group_prefix,
            cores=frozenset(settings.cpus),
            tick=self._tick,
            held=by_core,
            load_balance_off=settings.load_balance_off,
            park=access.park,
        )

    def _withdraw_deadline(self, access: DeadlineAccess) -> None:
        cause = withdraw(
            system=self._system,
            places=find_places(self._settings, self._system),
            prefix=self._settings.group_prefix,
            park=access.park or LinuxPark(access.attributes),
        )
        if cause:
            log.warning("SCHED_DEADLINE not withdrawn", extra={"cause": cause})

    def _kernel(
        self, access: DeadlineAccess | None, partitions: Partitions | None, stop: threading.Event
    ) -> Kernel:
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
            kernel.back_ends[Mechanism.RT_CGROUP] = RtCgroups(
                groups=self._groups,
                threads=self._threads,
                homes=homes,
                attributes=None if access is None else access.attributes,
            )
        if access is not None and self.capability.deadline is not None:
            kernel.back_ends[Mechanism.DEADLINE] = deadline_back_end(
                self.capability.deadline,
                partitions,
                system=self._system,
                attributes=access.attributes,
                places=find_places(settings, self._system),
                prefix=settings.group_prefix,
                threads=self._threads,
                homes=homes,
                tree=tree,
                cores=frozenset(settings.cpus),
                park=access.park,
                wait=stop.wait,
            )
        return kernel

    def _uses(self, mechanism: Mechanism) -> bool:
        return mechanism.value in self._settings.mechanisms
