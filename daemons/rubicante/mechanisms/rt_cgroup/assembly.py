"""Assembles the rt-cgroup back end: budget groups, or containers' own cgroups."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from daemons.rubicante.kernel.pod_cgroups import PodTree
from daemons.rubicante.kernel.rt_bandwidth import IsOwnGroup
from daemons.rubicante.kernel.rt_budget import RtBudgets
from daemons.rubicante.kernel.sched_attr import Attributes
from daemons.rubicante.kernel.system import System, Wait
from daemons.rubicante.kernel.threads import Threads
from daemons.rubicante.mechanisms.back_end import BackEnd
from daemons.rubicante.mechanisms.origins import Origins
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import BudgetGroups
from daemons.rubicante.mechanisms.rt_cgroup.container_back_end import ContainerBackEnd
from daemons.rubicante.mechanisms.rt_cgroup.group_back_end import GroupBackEnd
from daemons.rubicante.settings import Groups, Settings
from k40s.node_agent.kubepods import kubepods_paths
from k40s.units import MonotonicClock, Nanoseconds

ForeignBandwidth = Callable[[], Mapping[str, Fraction]]
"""Bandwidth of foreign budgets below kubepods, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RtEnforcement:
    """The back end; ``foreign`` returns foreign budgets below kubepods, by name."""

    back_end: BackEnd
    foreign: ForeignBandwidth


def rt_enforcement(
    settings: Settings,
    *,
    system: System,
    groups: BudgetGroups,
    threads: Threads,
    tree: PodTree,
    origins: Origins,
    attributes: Attributes | None,
    tick: Nanoseconds,
    wait: Wait,
    clock: MonotonicClock,
) -> RtEnforcement:
    """As the setting asks. ``groups`` are also those that another setting may have left behind."""
    in_groups = GroupBackEnd(groups=groups, threads=threads, origins=origins, attributes=attributes)
    if settings.groups is not Groups.CONTAINER:
        return RtEnforcement(back_end=in_groups, foreign=dict)
    files = RtBudgets(system=system, wait=wait)
    back_end = ContainerBackEnd(
        system=system,
        files=files,
        tree=tree,
        root=settings.cpu_cgroup_path,
        threads=threads,
        origins=origins,
        former=in_groups,
        attributes=attributes,
        tick=tick,
        clock=clock,
    )
    return RtEnforcement(back_end=back_end, foreign=back_end.foreign)


def own_group_predicate(settings: Settings, groups: BudgetGroups) -> IsOwnGroup:
    """A predicate for the names of the groups that k40s may write at the top."""
    if settings.groups is not Groups.CONTAINER:
        return groups.is_own
    above = {path.parts[0] for path in kubepods_paths(settings.cgroup_root)}
    return lambda name: name in above or groups.is_own(name)
