"""Groups of one reservation each, which the setting that is gone (K40S_GROUPS=own) left behind."""

from dataclasses import replace

from daemons.rubicante.mechanisms.back_end import GroupName
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.kernel import CPU, FIFO
from tests.fakes.rubicante.world import PREFIX, World, container_id, pod, task, uid


def container_of(world: World, number: int) -> str:
    """Its path below the top, as the thread's other hierarchies show it."""
    return f"/{world.container(number, id_=number).relative_to(CPU)}"


def restarted_with_shared_groups(world: World) -> World:
    world.base = replace(world.base, shared_groups=True)
    restarted = world.restarted(opened=False)
    restarted.enforcer.sweep()
    restarted.reservations.open()
    return restarted


def own_groups_of(world: World, *numbers: int) -> dict[int, int]:
    """Pods that run in groups of their own; number -> TID."""
    tids = {}
    for number in numbers:
        world.reserve(number, task(wcet_ms=2))
        shown = container_of(world, number)
        tids[number] = world.system.spawn(CPU / shown[1:], "ctl", other_cgroup=shown)
        world.pods.upsert(pod(number, node=NODE, container_ids={"main": container_id(number)}))
    world.look()
    return tids


def test_a_running_pod_keeps_its_own_group_beside_shared_ones(world: World) -> None:
    tids = own_groups_of(world, 1)

    restarted = restarted_with_shared_groups(world)
    restarted.reserve(2, task(wcet_ms=2))
    restarted.look()

    assert restarted.enforcer.threads(uid(1)) == {("main", "ctl"): tids[1]}
    assert restarted.system.threads[tids[1]].cgroup == restarted.group(1)
    assert restarted.groups.existing() == (GroupName(pod_uid=uid(1), index=0), 0)


def test_groups_without_a_reservation_are_emptied_and_removed(world: World) -> None:
    own_groups_of(world, 1)
    server = world.book.entries()[0].reservations[0].server
    left, shown = GroupName(pod_uid=uid(9), index=0), container_of(world, 9)
    world.groups.ensure(left, server)
    tid = world.system.spawn(world.groups.path(left), "ctl", other_cgroup=shown)
    world.system.set_policy(tid, FIFO, 50)
    world.system.make_groups(CPU / f"{PREFIX}-{uid(8)}-3")

    restarted = restarted_with_shared_groups(world)

    assert restarted.groups.existing() == (GroupName(pod_uid=uid(1), index=0),)
    assert restarted.system.threads[tid].priority == 0
    assert restarted.system.threads[tid].cgroup == CPU / shown[1:]


def test_all_is_gone_with_the_last_pod(world: World) -> None:
    own_groups_of(world, 1, 2)
    restarted = restarted_with_shared_groups(world)
    restarted.reserve(3, task(wcet_ms=2))
    restarted.look()

    for number in (1, 2):
        restarted.pods.delete(uid(number))
    restarted.reservations.release(uid(3))
    restarted.look()

    assert restarted.groups.existing() == ()
    assert restarted.book.entries() == ()
    assert restarted.enforcer.sweep() == ()
