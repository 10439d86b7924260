"""Tasks that run inside a virtual machine or a sentry are told, and no other thread is held."""

from dataclasses import replace

import pytest

from daemons.rubicante.cluster.enforced_condition import pod_condition
from k40s.kube.records import PodRecord
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.kernel import CPU, FIFO
from tests.fakes.rubicante.watched import Watched
from tests.fakes.rubicante.world import World, container_id, pod, uid
from tests.unit.rubicante.enforcement.test_not_found import RUNS, look_for, told


def running(runtime_class: str = "", **changes: object) -> PodRecord:
    record = pod(1, node=NODE, phase="Running", container_ids={"main": container_id(1)})
    return replace(record, states=RUNS, runtime_class=runtime_class, **changes)


@pytest.fixture
def watched() -> Watched:
    watched = Watched()
    watched.world.reserve()
    watched.world.pods.upsert(running("kata"))
    return watched


def start_machine(world: World, *names: str) -> int:
    """A monitor in the cgroup that Kata makes for a pod's sandbox."""
    cgroup = world.container().parent / f"kata_{container_id(9)}"
    del world.system.groups[world.container()]
    world.system.make_groups(cgroup)
    leader = world.system.spawn(cgroup, names[0])
    for name in names[1:]:
        world.system.spawn(cgroup, name, pid=leader)
    return leader


def test_a_pod_in_a_virtual_machine_is_told_so_within_seconds(watched: Watched) -> None:
    leader = start_machine(watched.world, "qemu-system-x86", "CPU 0/KVM")

    code, text = told(watched, 6)

    assert code == "inside-virtual-machine TaskOutOfReach"
    assert "whose own kernel schedules ctl" in text
    assert f"by its RuntimeClass kata, inside 'qemu-system-x86' (PID {leader}, 1 vCPU)" in text
    assert "such as runc" in text


def test_its_condition_has_a_reason_of_its_own(watched: Watched) -> None:
    start_machine(watched.world, "qemu-system-x86", "CPU 0/KVM")
    look_for(watched.world, 6)
    entry = watched.world.book.find(uid(1))
    assert entry is not None

    condition = pod_condition(entry, (), watched.world.enforcer.conditions())

    assert (condition.status, condition.reason) == (False, "InsideVirtualMachine")


def test_no_thread_of_the_machine_is_held_instead(watched: Watched) -> None:
    start_machine(watched.world, "qemu-system-x86", "CPU 0/KVM")

    look_for(watched.world, 20)

    threads = watched.world.system.threads.values()
    assert {thread.policy for thread in threads} == {0}


def test_a_sentry_in_the_sandboxs_cgroup_is_told(watched: Watched) -> None:
    world = watched.world
    world.container()
    sandbox = world.container(id_=9)
    for name, command in (("exe", "runsc-sandbox"), ("exe", "runsc-gofer")):
        world.system.threads[world.system.spawn(sandbox, name)].command = command

    code, text = told(watched)

    assert code == "inside-sandbox TaskOutOfReach"
    assert "a kernel in user space" in text
    assert "'runsc-sandbox'" in text


def test_a_monitor_that_is_the_containers_own_program_is_no_stand_in(watched: Watched) -> None:
    world = watched.world
    world.pods.upsert(running())
    leader = world.system.spawn(world.container(), "qemu-system-x86", inner_pid=1)
    world.system.spawn(world.container(), "CPU 0/KVM", pid=leader)

    code, text = told(watched, 11)

    assert code == "inside-virtual-machine TaskOutOfReach"
    assert "RuntimeClass kata" not in text
    assert not world.enforcer.stand_ins()
    assert world.system.threads[leader].policy == 0


def test_a_task_of_the_containers_own_that_comes_up_beside_a_monitor_is_held(
    watched: Watched,
) -> None:
    world = watched.world
    leader = world.system.spawn(world.container(), "qemu-system-x86", inner_pid=1)
    look_for(world, 8)
    assert not world.enforcer.conditions()

    task = world.system.spawn(world.container(), "ctl", pid=leader)
    look_for(world, 2)

    assert world.system.threads[task].policy == FIFO
    assert not world.enforcer.conditions()


def test_a_machine_in_another_container_does_not_excuse_this_one(watched: Watched) -> None:
    world = watched.world
    record = running(containers=("main", "vm"))
    ids = {"main": container_id(1), "vm": container_id(2)}
    world.pods.upsert(replace(record, container_ids=ids))
    world.system.spawn(world.container(), "sh", inner_pid=1)
    world.system.spawn(world.container(id_=2), "qemu-system-x86", inner_pid=1)

    code, _ = told(watched, 11)

    assert code == "thread-missing TaskWithoutThread"


def test_a_class_that_only_names_another_handler_is_enforced_as_any(watched: Watched) -> None:
    world = watched.world
    tid = world.system.spawn(world.container(), "ctl", inner_pid=1)

    look_for(world, 2)

    assert world.system.threads[tid].policy == FIFO
    assert not world.enforcer.conditions()


def test_a_machine_that_ends_leaves_nothing_to_tell_of_itself(watched: Watched) -> None:
    world = watched.world
    leader = start_machine(world, "qemu-system-x86")
    look_for(world, 6)
    world.system.kill(leader)

    look_for(world, 2)

    (condition,) = world.enforcer.conditions()
    assert condition.trouble.value == "container-not-found"
    assert condition.text.endswith("its RuntimeClass kata may run it in a virtual machine")
    assert CPU in world.system.groups


def test_a_container_without_threads_is_told_with_its_runtime_class(watched: Watched) -> None:
    watched.world.container()

    code, text = told(watched, 6)

    assert code == "no-thread CgroupNotFound"
    assert text.endswith("its RuntimeClass kata may run it in a virtual machine")
