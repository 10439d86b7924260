"""Cgroups of a local cluster on a machine that has cgroup v2 only."""

from pathlib import Path

import pytest

from localcluster.errors import LocalClusterError
from localcluster.host.cgroups import Binding, CgroupTree, Hierarchies
from localcluster.host.unified import CONTROLLERS, Controllers, UnifiedTree, tree_of
from tests.fakes.localcluster.unified import ROOT, UnifiedKernel

EDGE = "k40s-demo-edge-1"


def tree(kernel: UnifiedKernel, name: str = EDGE) -> UnifiedTree:
    return UnifiedTree(name, root=ROOT, files=kernel)


def alone(kernel: UnifiedKernel, cpus: str = "1", name: str = EDGE) -> str:
    return tree(kernel, name).create(cpus=cpus, below="system", binding=Binding.ALONE)


@pytest.mark.parametrize("old", [False, True])
def test_a_real_time_node_has_its_cpu_alone_again_and_again(*, old: bool) -> None:
    kernel = UnifiedKernel(old=old)

    first, again = alone(kernel), alone(kernel)

    assert (first, again) == ("", "")
    assert kernel.effective(ROOT / EDGE) == {1}
    assert kernel.effective(ROOT) == {0}
    assert kernel.groups[ROOT / EDGE] == kernel.groups[ROOT] == set(CONTROLLERS)
    assert ROOT / EDGE / "system" in kernel.groups


def test_others_name_no_cpus_where_they_have_what_is_left_and_so_leave_room_for_partitions() -> (
    None
):
    kernel = UnifiedKernel(cpus=4)
    alone(kernel, cpus="3")

    tree(kernel, "k40s-demo-edge-2").create(cpus="0,1,2", below="system", binding=Binding.BOUND)
    second = alone(kernel, cpus="2", name="k40s-test-edge-1")

    assert second == ""
    assert kernel.effective(ROOT / "k40s-demo-edge-2") == {0, 1}


def test_another_node_keeps_off_a_cpu_that_could_not_be_set_apart() -> None:
    kernel = UnifiedKernel()
    kernel.make(ROOT / "other.slice")
    kernel.groups[ROOT].add("cpuset")
    kernel.cpus[ROOT / "other.slice"] = "0-1"

    why = alone(kernel)
    tree(kernel, "k40s-demo-edge-2").create(cpus="0", binding=Binding.BOUND)

    assert why == (
        "the kernel makes no partition of CPU 1: "
        "root invalid (Cpu list in cpuset.cpus not exclusive)"
    )
    assert kernel.effective(ROOT / EDGE) == {1}
    assert kernel.effective(ROOT / "k40s-demo-edge-2") == {0}
    assert kernel.read(ROOT / EDGE / "cpuset.cpus.partition") == "member"


def test_the_only_cpu_of_a_machine_is_a_domain_of_its_own_already() -> None:
    kernel = UnifiedKernel(cpus=1)

    assert alone(kernel, cpus="0") == ""
    assert kernel.parts == {}


def test_without_cpusets_it_says_so() -> None:
    kernel = UnifiedKernel(controllers="cpu memory pids")

    assert alone(kernel) == "the machine's cgroup v2 has no cpuset controller"
    assert kernel.groups[ROOT / EDGE] == {"cpu", "memory", "pids"}


def test_a_controller_that_is_withdrawn_meanwhile_is_handed_down_again() -> None:
    kernel = UnifiedKernel(withdraws={"cpuset": 1})

    why = alone(kernel)

    assert why == ""
    assert kernel.effective(ROOT / EDGE) == {1}


def test_a_cgroup_that_cannot_hand_down_names_the_controller_and_why() -> None:
    kernel = UnifiedKernel(refuses=frozenset({"memory"}))

    with pytest.raises(LocalClusterError, match=r"controller memory: .*processes are in it"):
        alone(kernel)


def test_controllers_go_back_to_what_they_were() -> None:
    kernel = UnifiedKernel()
    kernel.groups[ROOT] = {"memory", "pids"}
    controllers = Controllers(ROOT, kernel)
    missing, known = controllers.missing(), controllers.groups()
    alone(kernel)
    kernel.groups[ROOT] |= {"rdma", "misc"}  # as runc does
    kernel.remove(EDGE)

    controllers.take_back(missing, known=known)

    assert kernel.groups[ROOT] == {"memory", "pids"}


def test_controllers_stay_where_a_newcomer_may_use_them_or_another_hands_them_down() -> None:
    kernel = UnifiedKernel()
    kernel.make(ROOT / "old.slice")
    controllers = Controllers(ROOT, kernel)
    missing, known = controllers.missing(), controllers.groups()
    alone(kernel)
    kernel.remove(EDGE)
    kernel.groups[ROOT / "old.slice"] = {"cpu"}

    controllers.take_back(missing, known=known)
    with_one_in_use = set(kernel.groups[ROOT])
    kernel.make(ROOT / "new.slice")
    controllers.hand_down(ROOT)
    controllers.take_back(missing, known=known)

    assert with_one_in_use == {"cpu"}
    assert kernel.groups[ROOT] == set(CONTROLLERS)


def test_the_machine_decides_which_cgroups_are_made() -> None:
    v1 = Hierarchies(paths=(Path("/sys/fs/cgroup/cpu"),))
    v2 = Hierarchies(paths=(ROOT,), unified=ROOT)

    assert type(tree_of("node", v1)) is CgroupTree
    assert type(tree_of("node", v2)) is UnifiedTree
