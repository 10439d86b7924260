"""Clusters on a machine of cgroup v2 come and go: CPUs are never shared, and all come back."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from localcluster.claims import Claim, choose_claim
from localcluster.host.cgroups import Binding
from localcluster.host.unified import CONTROLLERS, Controllers, UnifiedTree
from localcluster.nodes.layout import NodeNames, format_cpus
from tests.fakes.localcluster.unified import ROOT, UnifiedKernel

CAPACITY = Fraction(1, 100)
NAMES = ("a", "b", "c", "d")


class World:
    """A machine and its clusters; each has a real-time node and another one."""

    def __init__(self, *, cpus: int, old: bool, before: frozenset[str]) -> None:
        self.kernel = UnifiedKernel(cpus=cpus, old=old)
        self.kernel.groups[ROOT] = set(before)
        self.controllers = Controllers(ROOT, self.kernel)
        self.missing, self.known = self.controllers.missing(), self.controllers.groups()
        self.held: dict[str, Claim] = {}

    def up(self, name: str) -> None:
        seen = self.kernel.effective(ROOT)  # an ordinary process sees no more CPUs
        claim = self.held.get(name) or choose_claim(
            cluster=name,
            held=list(self.held.values()),
            machine_cpus=sorted(seen),
            cpus_wanted=1,
            rt_capacity=CAPACITY,
            keep_one=True,
        )
        if isinstance(claim, Claim):
            self.held[name] = claim
            assert self.make(name, "edge-1", claim.real_time_cpus, Binding.ALONE) == ""
            self.make(name, "edge-2", claim.general_cpus, Binding.BOUND)

    def make(self, name: str, node: str, cpus: tuple[int, ...], binding: Binding) -> str:
        tree = UnifiedTree(self.group(name, node), root=ROOT, files=self.kernel)
        return tree.create(cpus=format_cpus(cpus), below="system", binding=binding)

    def down(self, name: str) -> None:
        self.held.pop(name, None)
        for node in ("edge-1", "edge-2"):
            self.kernel.remove(self.group(name, node))
        if not self.held:
            self.controllers.take_back(self.missing, known=self.known)

    @staticmethod
    def group(name: str, node: str) -> str:
        return NodeNames(cluster=name, node=node).cgroup

    def check(self) -> None:
        own = {name: self.kernel.effective(ROOT / self.group(name, "edge-1")) for name in self.held}
        rest = self.kernel.effective(ROOT)
        several = len(self.kernel.online) > 1
        assert rest
        assert all(len(cpus) == 1 for cpus in own.values())
        if several:
            everything = [*own.values(), rest]
            assert sum(map(len, everything)) == len(frozenset().union(*everything))
        for name in self.held:
            assert self.kernel.effective(ROOT / self.group(name, "edge-2")) <= rest


@given(
    cpus=st.integers(1, 5),
    old=st.booleans(),
    before=st.frozensets(st.sampled_from(sorted(CONTROLLERS))),
    steps=st.lists(st.tuples(st.booleans(), st.sampled_from(NAMES)), max_size=12),
)
def test_no_sequence_of_clusters_shares_a_cpu_or_leaves_anything(
    cpus: int, *, old: bool, before: frozenset[str], steps: list[tuple[bool, str]]
) -> None:
    world = World(cpus=cpus, old=old, before=before)

    for is_up, name in steps:
        (world.up if is_up else world.down)(name)
        world.check()
    for name in NAMES:
        world.down(name)

    assert world.kernel.effective(ROOT) == world.kernel.online
    assert world.kernel.groups == {ROOT: set(before)}
