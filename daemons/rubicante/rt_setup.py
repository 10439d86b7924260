"""Puts together what enforces budgets of rt-cgroups: in groups of ours, or in containers' own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from daemons.rubicante.kernel.ancestors import Ancestors
from daemons.rubicante.kernel.container_groups import ContainerGroups
from daemons.rubicante.kernel.homes import Homes
from daemons.rubicante.kernel.leaves import Leaves
from daemons.rubicante.kernel.mechanism import BackEnd
from daemons.rubicante.kernel.pod_tree import PodTree
from daemons.rubicante.kernel.rt_cgroup import BudgetGroups
from daemons.rubicante.kernel.rt_files import RtFiles
from daemons.rubicante.kernel.rt_groups import RtCgroups
from daemons.rubicante.kernel.sched_attr import Attributes
from daemons.rubicante.kernel.system import System
from daemons.rubicante.kernel.threads import Threads
from daemons.rubicante.settings import Groups, Settings
from k40s.units import NS_PER_US, Nanoseconds

_KUBEPODS = ("kubepods", "kubepods.slice")


@dataclass(frozen=True, slots=True, kw_only=True)
class RtEnforcement:
    """The back end; ``foreign`` tells of other people's budgets below kubepods, by name."""

    back_end: BackEnd
    foreign: Callable[[], Mapping[str, Fraction]]


def rt_enforcement(
    settings: Settings,
    *,
    system: System,
    groups: BudgetGroups,
    threads: Threads,
    tree: PodTree,
    homes: Homes,
    attributes: Attributes | None,
    tick: Nanoseconds,
    wait: Callable[[float], object],
    clock: Callable[[], float],
) -> RtEnforcement:
    """As the setting asks. ``groups`` are also those that another setting may have left behind."""
    in_groups = RtCgroups(groups=groups, threads=threads, homes=homes, attributes=attributes)
    if settings.groups is not Groups.CONTAINER:
        return RtEnforcement(back_end=in_groups, foreign=dict)
    files = RtFiles(system=system, wait=wait)
    ancestors = Ancestors(
        files=files, tree=tree, root=settings.cpu_cgroup_path, tick=-(-tick // NS_PER_US)
    )
    back_end = ContainerGroups(
        leaves=Leaves(system=system, files=files, tree=tree, threads=threads),
        ancestors=ancestors,
        threads=threads,
        homes=homes,
        former=in_groups,
        attributes=attributes,
        tick=tick,
        clock=clock,
    )
    return RtEnforcement(back_end=back_end, foreign=ancestors.foreign)


def ours_at_the_top(settings: Settings, groups: BudgetGroups) -> Callable[[str], bool]:
    """Tells by its name whether a group at the top of the hierarchy is ours to write."""
    if settings.groups is not Groups.CONTAINER:
        return groups.is_ours
    first = settings.cgroup_root.strip("/").partition("/")[0]
    above = (first,) if first else _KUBEPODS
    return lambda name: name in above or groups.is_ours(name)
