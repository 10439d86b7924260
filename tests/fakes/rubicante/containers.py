"""A world whose budgets lie in the containers' own cgroups."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from daemons.rubicante.kernel.pod_cgroups import PodTree
from daemons.rubicante.kernel.threads import Threads
from daemons.rubicante.mechanisms.origins import Origins
from daemons.rubicante.mechanisms.rt_cgroup.assembly import RtEnforcement, rt_enforcement
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import BudgetGroups
from daemons.rubicante.mechanisms.rt_cgroup.parent_cgroups import PARENT_PERIOD
from daemons.rubicante.settings import Groups
from k40s.cpu.admission.admit import admit
from k40s.cpu.model import CpuNode, Mechanism
from k40s.cpu.outcome import Admit
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.rubicante.kernel import CPU, PROC, FakeKernel
from tests.fakes.rubicante.scene import SETTINGS
from tests.fakes.rubicante.world import PREFIX, World, node

KUBEPODS = CPU / "k8s" / "kubepods"
TICK = Nanoseconds(4 * NS_PER_MS)


def nested_node(*, capacity: Fraction = Fraction(95, 100)) -> CpuNode:
    return replace(node(capacity=capacity), ancestor_period=PARENT_PERIOD)


class ContainerWorld(World):
    """The world, and what enforces in it as ``rt``."""

    rt: RtEnforcement

    def again(self) -> "ContainerWorld":
        """A new process on the same disk, kernel and API server."""
        return container_world(before=self)


def container_world(
    before: World | None = None, *, admit: Admit = admit, base: CpuNode | None = None
) -> ContainerWorld:
    """One with kubepods and its classes, or a new process in one."""
    system = before.system if before else FakeKernel()
    for path in (KUBEPODS / "burstable", KUBEPODS / "besteffort"):
        system.make_groups(path)
    threads = Threads(system=system, proc=PROC)
    tree = PodTree(system=system, cpu_root=CPU, cgroup_root="/k8s")
    worlds: list[ContainerWorld] = []
    start = before.seconds if before else 0.0

    def clock() -> float:
        return worlds[0].seconds if worlds else start

    def wait(seconds: float) -> None:
        worlds[0].seconds += seconds

    rt = rt_enforcement(
        replace(SETTINGS, groups=Groups.CONTAINER, cgroup_root="/k8s", cpu_cgroup_path=CPU),
        system=system,
        groups=BudgetGroups(system=system, root=CPU, prefix=PREFIX, wait=wait),
        threads=threads,
        tree=tree,
        origins=Origins(threads=threads, tree=tree, cores=system.cores),
        attributes=None,
        tick=TICK,
        wait=wait,
        clock=clock,
    )
    kept = {} if before is None else {"store": before.store, "server": before.server}
    world = ContainerWorld(
        system=system,
        admit=before.admit if before else admit,
        back_ends={Mechanism.RT_CGROUP: rt.back_end},
        base=base or (before.base if before else nested_node()),
        seconds=start,
        **kept,  # type: ignore[arg-type]  # each is what the field of that name was
    )
    world.rt = rt
    worlds.append(world)
    return world


def budgets(world: World) -> dict[Path, tuple[int, int]]:
    """All groups below the top that have a budget, by their path there."""
    return {
        path.relative_to(CPU): world.system.budget(path)
        for path, group in world.system.groups.items()
        if path != CPU and group.runtime
    }
