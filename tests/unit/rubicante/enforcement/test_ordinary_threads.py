"""Ordinary threads in budget groups, on a fake kernel: bounded from the start, soon sent home."""

import errno
import os
from dataclasses import replace

import pytest

from daemons.rubicante.enforcement.loop import EnforcementLoop
from daemons.rubicante.kernel.directory_watch import DirectoryWatch
from daemons.rubicante.kernel.rt_bandwidth import RtBandwidth
from daemons.rubicante.kernel.rt_budget import LEAST, limit_ordinary_threads
from daemons.rubicante.mechanisms.capability import find_rt_cgroups
from k40s.errors import KernelError
from tests.fakes.rubicante.grants import HandMade, grant
from tests.fakes.rubicante.kernel import CPU, FIFO, PROC, FakeKernel
from tests.fakes.rubicante.world import PREFIX, World, uid


def run(world: World, number: int = 1, name: str = "ctl") -> int:
    """A thread in that pod's container, in all hierarchies."""
    cgroup = world.container(number, id_=number)
    return world.system.spawn(cgroup, name, other_cgroup="/" + str(cgroup.relative_to(CPU)))


def is_home(world: World, tid: int) -> bool:
    thread = world.system.threads[tid]
    return "/" + str(thread.cgroup.relative_to(CPU)) == thread.other_cgroup


def enforced(world: World) -> int:
    world.reserve()
    tid = run(world)
    world.look()
    assert world.system.threads[tid].policy == FIFO
    return tid


def test_a_group_leaves_next_to_nothing_to_ordinary_threads_before_one_can_be_in_it(
    world: World,
) -> None:
    tid = enforced(world)

    files = [call[1].name for call in world.system.calls if call[0] == "write"]
    assert world.system.groups[world.group()].ordinary == LEAST
    assert LEAST["cpu.cfs_quota_us"] / LEAST["cpu.cfs_period_us"] == 0.001
    assert max(files.index(name) for name in LEAST) < files.index("tasks")
    assert world.system.threads[tid].cgroup == world.group()


@pytest.mark.parametrize("number", [0, 3])
def test_a_shared_group_is_limited_alike(number: int) -> None:
    world = World(admit=HandMade(grant(1, core=0, group=number)))

    world.reserve()

    assert world.system.groups[CPU / f"{PREFIX}-shared-{number}"].ordinary == LEAST


def test_a_group_of_an_earlier_version_is_limited_at_the_first_look_of_a_new_process(
    world: World,
) -> None:
    tid = enforced(world)
    world.system.groups[world.group()].ordinary.clear()

    again = world.restarted()
    again.look()

    assert world.system.groups[world.group()].ordinary == LEAST
    assert world.system.threads[tid].policy == FIFO


def test_a_limit_that_somebody_has_lifted_is_set_again(world: World) -> None:
    enforced(world)
    world.system.groups[world.group()].ordinary["cpu.cfs_quota_us"] = -1

    world.seconds += 1.5
    world.look()

    assert world.system.groups[world.group()].ordinary == LEAST


def test_a_pod_is_not_reserved_for_where_the_limit_is_refused(world: World) -> None:
    refusal = OSError(errno.EINVAL, "no")
    world.system.refuse["write"] = [refusal]

    with pytest.raises(KernelError, match=r"cpu\.shares"):
        world.reserve()

    assert world.book.find(uid(1)) is None
    assert world.group() not in world.system.groups


def test_a_limit_that_the_kernel_does_not_keep_is_an_error(system: FakeKernel) -> None:
    group = system.make_groups(CPU / "rt-shared-0")
    system.fair_files["cpu.shares"] = 1024

    class Forgetful(FakeKernel):
        def write(self, path: object, text: str) -> None:
            """Accepted, and forgotten."""

    forgetful = Forgetful()
    forgetful.groups = system.groups
    with pytest.raises(KernelError, match="wrote 2, the kernel kept 1024"):
        limit_ordinary_threads(forgetful, group)


def test_without_bandwidth_control_a_group_is_made_idle_and_the_operator_is_told(
    system: FakeKernel,
) -> None:
    system.fair_files = {"cpu.shares": 1024, "cpu.idle": 0}
    group = system.make_groups(CPU / "rt-shared-0")

    assert limit_ordinary_threads(system, group)
    assert not limit_ordinary_threads(system, group)

    bandwidth = RtBandwidth(system=system, cpu_root=CPU, proc=PROC, is_own_group=lambda _: True)
    found = find_rt_cgroups(
        system=system, bandwidth=bandwidth, cpu_root=CPU, debug=PROC / "debug", prefix="rt"
    )
    assert system.groups[group].ordinary == {"cpu.shares": 2, "cpu.idle": 1}
    assert found.problems == ()
    assert any("CONFIG_CFS_BANDWIDTH" in warning for warning in found.warnings)


def test_a_child_is_sent_home_between_two_looks(world: World) -> None:
    tid = enforced(world)
    child = world.system.fork(tid, "ctl")

    world.enforcer.evict()

    assert is_home(world, child)
    assert world.system.threads[child].affinity == world.system.cores
    assert world.system.threads[tid].policy == FIFO


@pytest.mark.parametrize("policy", [os.SCHED_OTHER, os.SCHED_BATCH, os.SCHED_IDLE])
def test_a_task_that_gives_up_its_policy_goes_home_and_is_enforced_again(
    policy: int, world: World
) -> None:
    tid = enforced(world)
    thread = world.system.threads[tid]
    thread.policy, thread.priority = policy | os.SCHED_RESET_ON_FORK, 0

    world.enforcer.evict()
    was_home = is_home(world, tid)
    world.enforcer.look()

    assert was_home
    assert (thread.policy, thread.cgroup) == (FIFO, world.group())


def test_children_of_two_pods_in_one_group_go_to_their_own_containers() -> None:
    world = World(admit=HandMade(grant(1, core=0), grant(2, core=1)))
    parents = []
    for number in (1, 2):
        world.reserve(number)
        parents.append(run(world, number))
    world.look()
    children = [world.system.fork(tid, "helper") for tid in parents]

    world.enforcer.evict()

    assert all(is_home(world, child) for child in children)
    assert [world.system.threads[tid].policy for tid in parents] == [FIFO, FIFO]


def test_a_child_whose_container_has_gone_leaves_for_the_nearest_group_above(world: World) -> None:
    tid = enforced(world)
    child = world.system.fork(tid, "ctl")
    container = CPU / world.system.threads[child].other_cgroup.strip("/")
    del world.system.groups[container]

    world.enforcer.evict()

    assert world.system.threads[child].cgroup == container.parent


def test_a_thread_that_the_kernel_does_not_make_real_time_is_not_left_in_the_group(
    world: World,
) -> None:
    world.reserve()
    tid = run(world)
    world.system.refuse["set_policy"] = [PermissionError(errno.EPERM, "no")]

    world.look()

    assert is_home(world, tid)
    assert world.system.threads[tid].affinity == world.system.cores


def test_the_loop_sends_children_home_while_it_waits_for_its_next_look(world: World) -> None:
    tid = enforced(world)
    watch = DirectoryWatch()
    loop = EnforcementLoop(enforcer=world.enforcer, watch=watch, clock=lambda: world.seconds)
    loop.tick()  # the first one only begins to watch
    child = world.system.fork(tid, "ctl")
    world.seconds -= 0.1  # so that the child is not found by a look that is due

    loop.tick()

    watch.close()
    assert is_home(world, child)


def test_children_go_home_also_while_looks_follow_one_another(world: World) -> None:
    tid = enforced(world)
    watch = DirectoryWatch()
    loop = EnforcementLoop(enforcer=world.enforcer, watch=watch, clock=lambda: world.seconds)
    loop.tick()
    world.reserve(2)
    run(world, 2, "not yet named")
    watch.ring()
    loop.tick()
    child = world.system.fork(tid, "ctl")
    world.seconds += 0.05
    watch.ring()  # so that there is nothing to wait for

    loop.tick()

    watch.close()
    assert is_home(world, child)


def test_a_storm_of_children_is_sent_home_in_parts(world: World) -> None:
    tid = enforced(world)
    storm = [world.system.fork(tid, "fork") for _ in range(1000)]

    world.enforcer.evict()
    sent = sum(is_home(world, child) for child in storm)
    for _ in range(10):
        world.enforcer.evict()

    assert 0 < sent < 200
    assert all(is_home(world, child) for child in storm)


def test_a_storm_that_does_not_end_has_its_turn_and_others_have_theirs() -> None:
    world = World(admit=HandMade(grant(1, core=0), grant(2, core=1)))
    for number in (1, 2):
        world.reserve(number)
    stormy, quiet = run(world, 1), run(world, 2)
    world.look()
    child = world.system.fork(quiet, "helper")
    group = world.system.groups[world.system.threads[stormy].cgroup]

    for _ in range(3):
        for tid in range(200):  # TIDs that are used again and again
            if tid not in world.system.threads or is_home(world, tid):
                made = world.system.fork(stormy, "fork")
                world.system.threads[tid] = replace(world.system.threads.pop(made), tid=tid)
                group.tids.remove(made)
                group.tids.append(tid)
        world.enforcer.evict()

    assert is_home(world, child)


def test_a_child_that_cannot_be_sent_home_keeps_no_other(world: World) -> None:
    tid = enforced(world)
    first, second = (world.system.fork(tid, "ctl") for _ in range(2))
    world.system.refuse["directories"] = [OSError(errno.EIO, "broken")]

    world.enforcer.evict()

    assert not is_home(world, first)
    assert is_home(world, second)
