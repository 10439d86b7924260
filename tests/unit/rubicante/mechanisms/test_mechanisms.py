"""What a node offers to admission, by its settings and its kernel."""

import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from daemons.rubicante.kernel.pod_cgroups import TASKS_V2
from daemons.rubicante.mechanisms.node import Mechanisms
from daemons.rubicante.settings import Groups, Settings
from k40s.cpu.model import Mechanism, Packing
from tests.fakes.rubicante.kernel import CPU, PROC, FakeKernel, Group
from tests.fakes.rubicante.scene import SETTINGS
from tests.fakes.rubicante.world import container_id, uid


def make(system: FakeKernel, settings: Settings = SETTINGS) -> Mechanisms:
    return Mechanisms(settings, system=system, access=None, held=(), stop=threading.Event())


def test_the_settings_reach_admission(system: FakeKernel) -> None:
    settings = replace(SETTINGS, groups=Groups.CONTAINER, packing=Packing.BEST_FIT)

    node = make(system, settings).node()

    assert (node.shared_groups, node.packing, node.deadline) == (False, Packing.BEST_FIT, None)
    assert make(system).node().shared_groups


def test_what_other_groups_take_later_is_not_offered_any_more(system: FakeKernel) -> None:
    mechanisms = make(system)
    before = mechanisms.node().node_capacity

    system.groups[CPU / "foreign"] = Group(runtime=500_000)

    assert (before, mechanisms.node().node_capacity) == (Fraction(95, 100), Fraction(45, 100))


def test_groups_that_are_not_to_be_used_are_not_offered_but_kept_clean(system: FakeKernel) -> None:
    mechanisms = make(system, replace(SETTINGS, mechanisms=("deadline",)))

    assert mechanisms.capability.mechanism == "none"
    assert mechanisms.node().node_capacity == 0
    assert Mechanism.RT_CGROUP in mechanisms.back_ends.by_mechanism


def test_without_a_v1_hierarchy_the_pods_are_those_of_cgroup_v2(system: FakeKernel) -> None:
    unified = CPU / "unified"
    pod = unified / "k8s" / "kubepods" / f"pod{uid(1)}" / container_id(1)
    system.make_groups(pod)
    system.files[pod / TASKS_V2] = "7\n"
    settings = replace(SETTINGS, cpu_cgroup_path=Path("/absent"), unified_cgroup_path=unified)

    mechanisms = make(system, settings)

    tree = mechanisms.back_ends.tree
    assert tree.pods() == {uid(1): pod.parent}
    assert tree.tids(pod) == (7,)
    assert mechanisms.back_ends.by_mechanism == {}
    assert "CONFIG_RT_GROUP_SCHED" in " ".join(mechanisms.capability.problems)


@pytest.mark.parametrize("capable", [True, False])
def test_a_dry_run_or_a_lack_of_capabilities_makes_no_real_time_node(
    system: FakeKernel, *, capable: bool
) -> None:
    if not capable:
        system.files[PROC / "self" / "status"] = "CapEff:\t0\n"

    found = make(system, replace(SETTINGS, dry_run=capable)).capability

    assert (found.mechanism, len(found.problems)) == ("none", 1)
