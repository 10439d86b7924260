"""The mechanisms of a node put together: what enforces, and what admission may count on."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from daemons.rubicante.kernel.rt_bandwidth import RtBandwidth
from daemons.rubicante.kernel.rt_budget import has_rt_budgets
from daemons.rubicante.kernel.system import System
from daemons.rubicante.kernel.threads import Threads
from daemons.rubicante.mechanisms.back_ends import BackEnds
from daemons.rubicante.mechanisms.capability import (
    Capability,
    RtSupport,
    combine,
    find_rt_cgroups,
)
from daemons.rubicante.mechanisms.deadline.discovery import DeadlineSupport, Partitions
from daemons.rubicante.mechanisms.deadline.offer import DeadlineAccess, DeadlineMechanism
from daemons.rubicante.mechanisms.origins import Origins
from daemons.rubicante.mechanisms.paths import (
    find_origin_log,
    find_pod_tree,
    with_resolved_root,
)
from daemons.rubicante.mechanisms.rt_cgroup.assembly import (
    RtEnforcement,
    own_group_predicate,
    rt_enforcement,
)
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import BudgetGroups
from daemons.rubicante.mechanisms.rt_cgroup.parent_cgroups import PARENT_PERIOD
from daemons.rubicante.mechanisms.timer.budget_timer import TimerStatus
from daemons.rubicante.mechanisms.timer.measurement import HeldNow
from daemons.rubicante.settings import Groups, Settings
from k40s.cpu.model import CpuNode, Mechanism, Reservation
from k40s.node_agent.tick import tick_length
from k40s.units import MonotonicClock, Nanoseconds

log = logging.getLogger(__name__)


def bare_node(settings: Settings) -> CpuNode:
    """The node before its capability is known: nothing is admitted there."""
    return CpuNode(
        cores=settings.cpus,
        tick=Nanoseconds(0),
        node_capacity=Fraction(0),
        core_capacity=settings.core_capacity,
        platform="",
        platform_factor=Fraction(1),
        hi_reserve=settings.reserve,
    )


class Mechanisms:
    """Finds the node's capability at the start, and SCHED_DEADLINE again when the kernel refuses.

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
        clock: MonotonicClock = time.monotonic,
    ) -> None:
        settings, self._where = with_resolved_root(settings, system)
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
            is_own_group=own_group_predicate(settings, self._groups),
        )
        self._tick = settings.tick if settings.tick is not None else tick_length()
        self._deadline = (
            None
            if access is None
            else DeadlineMechanism(
                settings, access, system=system, tick=self._tick, stop=stop, clock=clock
            )
        )
        support, partitions = self._find_deadline(held)
        self._rt_cgroups = self._find_rt_cgroups()
        self.capability = self._combine(support)
        self._foreign: Mapping[str, Fraction] = {}
        self._rt: RtEnforcement | None = None
        self.back_ends = self._assemble(access)
        if self._deadline is not None and self.capability.deadline is not None:
            self._deadline.start(self.back_ends, self.capability.deadline, partitions)

    def is_due(self) -> bool:
        """Whether SCHED_DEADLINE should be looked at again; from any thread."""
        return self._deadline is not None and self._deadline.is_due()

    def look(self, held: Sequence[Reservation]) -> None:
        """Probe the kernel again; ``capability`` and ``node`` then show what it offers."""
        if self._deadline is not None:
            self.capability = self._combine(self._deadline.look(self.back_ends, held))

    def node(self) -> CpuNode:
        """The node without reservations and platform, minus foreign bandwidth."""
        found, settings = self.capability, self._settings
        return replace(
            bare_node(settings),
            tick=found.tick,
            node_capacity=Fraction(0) if found.bandwidth is None else self._node_capacity(),
            shared_groups=settings.groups is Groups.SHARED,
            deadline=found.deadline,
            packing=settings.packing,
            ancestor_period=PARENT_PERIOD if settings.groups is Groups.CONTAINER else None,
        )

    def foreign(self) -> Mapping[str, Fraction]:
        """Real-time bandwidth of foreign groups, by name, as ``node`` last saw it."""
        return self._foreign

    def measure(self, held: HeldNow) -> None:
        """Measure how late SCHED_DEADLINE budgets end, if that is due; without any lock."""
        if self._deadline is not None and not self._settings.dry_run:
            self._deadline.measure(held)

    def timer(self) -> TimerStatus | None:
        """The timer that ends SCHED_DEADLINE budgets; None where that is not to be used."""
        used = self._deadline is not None and self._uses(Mechanism.DEADLINE)
        return self._deadline.timer if self._deadline is not None and used else None

    def end(self, held: Sequence[Reservation]) -> None:
        """Restore what no reservation counts on; the process ends."""
        if self._deadline is not None and not self._settings.dry_run:
            self._deadline.end(held)

    def close(self) -> None:
        """End what this process keeps open; what is enforced stays enforced."""
        if self._deadline is not None:
            self._deadline.close(self.back_ends)

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
        if self._where:
            found = replace(found, warnings=(*found.warnings, self._where))
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

    def _find_deadline(
        self, held: Sequence[Reservation]
    ) -> tuple[DeadlineSupport | None, Partitions | None]:
        if self._deadline is None:
            return None, None
        if self._uses(Mechanism.DEADLINE):
            return self._deadline.find(held)
        self._deadline.withdraw()
        return None, None

    def _assemble(self, access: DeadlineAccess | None) -> BackEnds:
        settings, cores = self._settings, self.capability.cores
        tree = find_pod_tree(settings, self._system)
        origin_log = None if settings.dry_run else find_origin_log(settings, self._system)
        origins = Origins(threads=self._threads, tree=tree, cores=cores, log=origin_log)
        back_ends = BackEnds(by_mechanism={}, threads=self._threads, tree=tree, origins=origins)
        if has_rt_budgets(self._system, settings.cpu_cgroup_path):
            self._rt = rt_enforcement(
                settings,
                system=self._system,
                groups=self._groups,
                threads=self._threads,
                tree=tree,
                origins=origins,
                attributes=None if access is None else access.attributes,
                tick=self._tick,
                wait=self._wait,
                clock=self._clock,
            )
            back_ends.by_mechanism[Mechanism.RT_CGROUP] = self._rt.back_end
        return back_ends

    def _uses(self, mechanism: Mechanism) -> bool:
        return mechanism.value in self._settings.mechanisms
