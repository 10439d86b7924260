"""Threads, and where kubelet puts them, on a fake kernel."""

import errno

import pytest

from daemons.rubicante.kernel.pod_cgroups import TASKS_V2, PodTree
from daemons.rubicante.kernel.threads import FIFO, Threads
from k40s.errors import KernelError
from tests.fakes.rubicante.kernel import CPU, FakeKernel
from tests.fakes.rubicante.world import container_id, uid


def test_reads_a_thread_whose_name_has_brackets(system: FakeKernel, threads: Threads) -> None:
    tid = system.spawn(CPU, "a) R (b")

    found = threads.find(tid)

    assert found is not None
    assert (found.name, found.started) == ("a) R (b", tid)


def test_a_zombie_is_no_thread(system: FakeKernel, threads: Threads) -> None:
    tid = system.spawn(CPU, "ctl")
    system.threads[tid].state = "Z"

    assert threads.find(tid) is None


def test_a_dead_thread_is_nothing_to_any_call(threads: Threads) -> None:
    assert threads.find(1) is None
    assert threads.process(1) is None
    assert threads.policy(1) is None
    assert threads.affinity(1) == frozenset()
    assert threads.kubepods_path(1) is None
    assert not threads.pin(1, frozenset({1}))
    assert not threads.set_policy(1, FIFO, 1)


def test_a_policy_that_the_kernel_refuses_is_a_failure(
    system: FakeKernel, threads: Threads
) -> None:
    tid = system.spawn(system.make_groups(CPU / "x"), "ctl")

    with pytest.raises(KernelError, match="sched_setscheduler"):
        threads.set_policy(tid, FIFO, 90)


def test_a_policy_that_the_kernel_does_not_keep_is_a_failure(
    system: FakeKernel, threads: Threads
) -> None:
    tid = system.spawn(CPU, "ctl")
    system.set_policy = lambda *_: None  # type: ignore[method-assign]  # a kernel that ignores it

    with pytest.raises(KernelError, match="the kernel kept"):
        threads.set_policy(tid, FIFO, 90)


@pytest.mark.parametrize(
    ("directory", "container"),
    [
        (f"kubepods/pod{uid(1)}", container_id(1)),
        (f"kubepods/burstable/pod{uid(1)}", container_id(1)),
        (f"kubepods/besteffort/pod{uid(1)}", container_id(1)),
        (
            f"kubepods.slice/kubepods-pod{uid(1).replace('-', '_')}.slice",
            f"cri-containerd-{container_id(1)}.scope",
        ),
        (
            (
                "kubepods.slice/kubepods-burstable.slice/"
                f"kubepods-burstable-pod{uid(1).replace('-', '_')}.slice"
            ),
            f"crio-{container_id(1)}.scope",
        ),
    ],
)
def test_finds_pods_of_either_cgroup_driver(
    system: FakeKernel, directory: str, container: str
) -> None:
    tree = PodTree(system=system, cpu_root=CPU, cgroup_root="/")
    system.make_groups(CPU / directory / container)
    system.make_groups(CPU / directory / "other")

    assert tree.pod(uid(1)) == CPU / directory
    assert tree.pods() == {uid(1): CPU / directory}
    assert tree.owner(f"/{directory}/{container}") == uid(1)
    assert tree.containers(CPU / directory) == {container_id(1): CPU / directory / container}
    assert tree.pod(uid(2)) is None
    assert tree.containers(CPU / "absent") == {}


def test_a_cgroup_that_is_being_removed_has_no_threads(system: FakeKernel) -> None:
    tree = PodTree(system=system, cpu_root=CPU, cgroup_root="/")
    system.refuse["read"] = [OSError(errno.ENODEV, "going")]

    assert tree.tids(CPU) == ()
    assert tree.tids(CPU / "absent") == ()
    system.refuse["read"] = [OSError(errno.EIO, "broken")]
    with pytest.raises(OSError, match="broken"):
        tree.tids(CPU)


def test_a_home_outside_the_nodes_tree_is_none(system: FakeKernel) -> None:
    tree = PodTree(system=system, cpu_root=CPU, cgroup_root="/node-a")
    system.make_groups(CPU / "node-a/kubepods/x")
    system.make_groups(CPU / "node-b/kubepods/x")

    assert tree.existing("/node-a/kubepods/x") == CPU / "node-a/kubepods/x"
    assert tree.existing("/node-b/kubepods/x") is None
    assert tree.existing("/node-a/kubepods/gone") is None


def test_lists_the_threads_of_cgroup_v2(system: FakeKernel) -> None:
    tree = PodTree(system=system, cpu_root=CPU, cgroup_root="/", tasks=TASKS_V2)
    system.files[CPU / "cgroup.threads"] = "7\n8\n"

    assert tree.tids(CPU) == (7, 8)


def test_a_path_without_a_pod_has_no_owner() -> None:
    assert PodTree.owner("/kubepods/burstable/podx/" + container_id(1)) is None
    assert PodTree.owner("/") is None
