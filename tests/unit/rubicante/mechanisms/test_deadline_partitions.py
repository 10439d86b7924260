"""The DEADLINE back end where each core is a root domain of its own."""

import os
from pathlib import Path

import pytest

from k40s.errors import KernelError
from tests.fakes.rubicante.deadline_scene import OTHER, UID, Scene, held
from tests.fakes.rubicante.domains import V1


def test_an_existing_partition_needs_the_pin_alone(memory: Path) -> None:
    scene = Scene(memory, "pinned")
    tid = scene.spawn(50)
    scene.kernel.threads[tid].last_cpu = 1
    scene.back_end.know([held(core=1)])

    assert scene.enforce(tid, held(core=1))

    assert scene.kernel.affinity(tid) == {1}


def test_a_thread_that_has_to_run_first_is_tried_again(memory: Path) -> None:
    scene = Scene(memory, "v1")
    tid = scene.spawn(50)
    scene.kernel.files[V1 / "cpuset.sched_load_balance"] = "0"
    scene.back_end.know([held(core=1)])

    assert not scene.enforce(tid, held(core=1))
    scene.kernel.threads[tid].last_cpu = 1

    assert scene.enforce(tid, held(core=1))
    assert scene.kernel.threads[tid].cgroup == V1 / "k40s-rt-core-1"


def test_a_thread_comes_back_to_its_cpuset(memory: Path) -> None:
    scene = Scene(memory, "v1")
    tid = scene.spawn(50)
    scene.kernel.threads[tid].last_cpu = 1
    scene.back_end.know([held(core=1)])
    assert scene.enforce(tid, held(core=1))

    assert scene.back_end.release(UID)

    assert scene.kernel.threads[tid].cgroup == V1
    assert scene.kernel.affinity(tid) == {0, 1}


def test_a_cpuset_that_joins_the_domains_is_taken_out_of_balancing(memory: Path) -> None:
    scene = Scene(memory, "v1")
    tid = scene.spawn(50)
    scene.kernel.threads[tid].last_cpu = 1
    scene.kernel.add_cpuset(V1 / "newcomer", "0-1")
    scene.back_end.know([held(core=1)])

    assert scene.enforce(tid, held(core=1))

    assert scene.kernel.files[V1 / "newcomer" / "cpuset.sched_load_balance"] == "0"


def test_threads_of_forgotten_pods_are_put_out_of_a_cores_cpuset(memory: Path) -> None:
    scene = Scene(memory, "v1")
    tid = scene.spawn(50)
    scene.kernel.threads[tid].last_cpu = 1
    scene.back_end.know([held(core=1)])
    scene.back_end.claim([held(core=1)])
    assert scene.enforce(tid, held(core=1))
    scene.back_end.know([])

    strays = scene.back_end.sweep()

    assert [(stray.what, stray.idle) for stray in strays] == [("thread 50", True)]
    assert scene.kernel.get(tid).policy == os.SCHED_OTHER
    assert scene.back_end.sweep() == ()
    scene.back_end.close()


def test_a_pods_cgroup_becomes_its_partition(memory: Path) -> None:
    scene = Scene(memory, "v2")
    tid = scene.spawn(50)
    scene.kernel.threads[tid].affinity = frozenset({1})
    scene.kernel.threads[tid].last_cpu = 1
    scene.back_end.know([held(core=1)])
    scene.back_end.claim([held(core=1)])
    scene.back_end.provide(held(core=1), grow=True)

    assert scene.enforce(tid, held(core=1))

    pod = scene.make_pod(UID).parent
    assert scene.pods.state(pod) == "root"
    scene.back_end.know([held(core=1), held(core=1, uid=OTHER)])
    with pytest.raises(KernelError, match="CPU 1 is the partition of"):
        scene.back_end.claim([held(core=1, uid=OTHER)])
    assert scene.back_end.release(UID)
    assert scene.pods.state(pod) == "member"


def test_a_partition_of_a_forgotten_pod_is_undone(memory: Path) -> None:
    scene = Scene(memory, "v2")
    scene.back_end.know([held(core=1)])
    scene.back_end.provide(held(core=1), grow=True)
    scene.back_end.know([])

    strays = scene.back_end.sweep()

    assert [(stray.what, stray.idle) for stray in strays] == [(f"partition pod{UID}", True)]
