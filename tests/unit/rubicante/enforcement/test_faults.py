"""What fails or changes in the middle of things, and what must not come of it."""

import errno
import os
from fractions import Fraction

import pytest

from daemons.rubicante.book.entry import Phase
from k40s.annotations import ALLOCATION_KEY, CRITICALITY_KEY, TASKS_KEY
from k40s.kube.records import PodRecord
from k40s.reasons import Reason
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.kernel import CPU, FIFO, Group
from tests.fakes.rubicante.scene import Scene
from tests.fakes.rubicante.world import World, ask, container_id, pod, task, uid


def refused() -> OSError:
    return PermissionError(errno.EPERM, "no")


def bound(number: int = 1) -> PodRecord:
    tasks = '[{"name":"ctl","period":"100ms","wcet":{"xeon":"5ms"}}]'
    annotations = {CRITICALITY_KEY: "HI", TASKS_KEY: tasks, ALLOCATION_KEY: "{}"}
    return pod(number, node=NODE, annotations=annotations)


def test_a_lease_renewed_while_its_pod_is_looked_up_does_not_end(world: World) -> None:
    world.reserve()
    world.seconds = 61
    world.server.meanwhile = lambda: world.reservations.reserve(ask(1))

    world.upkeep.resolve_leases()

    assert [entry.phase for entry in world.book.entries()] == [Phase.LEASED]
    assert world.system.admitted() > 0


def test_another_contract_for_a_pod_that_is_bound_here_is_refused(world: World) -> None:
    world.reserve()
    world.server.add(pod(1, node=NODE))
    before = world.book.find(uid(1)).reservations

    answer, _ = world.reservations.reserve(ask(1, task(wcet_ms=2)))

    assert answer.reason is Reason.POD_CHANGED
    assert world.book.find(uid(1)).reservations == before


def test_a_release_that_cannot_be_written_hinders_no_other_pod(world: World) -> None:
    world.reserve(1)
    world.reserve(2)
    tid = world.system.spawn(world.container(2, id_=2), "ctl")
    world.pods.delete(uid(1))
    world.store.broken = True

    world.look()

    assert world.system.threads[tid].policy == FIFO
    assert world.book.find(uid(1)).phase is Phase.RELEASING
    world.store.broken = False
    world.look()
    assert world.book.find(uid(1)) is None


def test_a_release_that_fails_again_and_again_is_told_once_and_tried_in_peace(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.reserve()
    world.system.spawn(world.container(), "ctl")
    world.look()
    world.pods.delete(uid(1))
    world.system.refuse["set_policy"] = [refused() for _ in range(5)]

    world.enforcer.note_events()
    delays = []
    for _ in range(5):
        delays.append(world.enforcer.look())
        world.seconds += delays[-1]

    assert min(delays) >= 0.5
    assert [r.message for r in caplog.records].count("bandwidth not returned") == 1
    world.enforcer.look()
    assert world.book.find(uid(1)) is None


def test_a_thread_whose_container_is_gone_does_not_hold_up_the_release(world: World) -> None:
    world.reserve()
    cgroup = world.container()
    tid = world.system.spawn(cgroup, "ctl")
    world.look()
    del world.system.groups[cgroup]

    world.pods.delete(uid(1))
    world.look()

    assert world.system.threads[tid].policy == os.SCHED_OTHER
    assert world.system.admitted() == 0
    assert world.book.find(uid(1)) is None


def test_a_thread_goes_back_to_the_very_group_it_came_from(world: World) -> None:
    world.reserve()
    inner = world.system.make_groups(world.container() / "init.scope")
    tid = world.system.spawn(inner, "ctl", other_cgroup="/" + str(inner.relative_to(CPU)))
    world.look()
    taken = world.system.threads[tid].cgroup

    world.pods.delete(uid(1))
    world.look()

    assert (taken, world.system.threads[tid].cgroup) == (world.group(), inner)


def test_a_sidecars_thread_gives_way_once_the_status_names_the_container(world: World) -> None:
    world.reserve()
    sidecar = world.container(id_=7)
    wrong = world.system.spawn(sidecar, "ctl", other_cgroup="/" + str(sidecar.relative_to(CPU)))
    world.look()
    cgroup = world.container(id_=8)
    right = world.system.spawn(cgroup, "ctl", other_cgroup="/" + str(cgroup.relative_to(CPU)))

    world.pods.upsert(pod(1, node=NODE, container_ids={"main": container_id(8)}))
    world.look()

    assert world.system.threads[right].policy == FIFO
    assert world.system.threads[wrong].policy == os.SCHED_OTHER
    assert world.system.threads[wrong].cgroup == sidecar


def test_a_group_never_keeps_more_than_the_book_grants(world: World) -> None:
    world.reserve()
    tid = world.system.spawn(world.container(), "ctl")
    world.look()
    granted = world.system.budget(world.group())
    world.system.groups[world.group()].runtime += 10_000

    world.look()

    assert world.system.budget(world.group()) == granted
    assert world.system.threads[tid].policy == FIFO


def test_an_adoption_that_the_kernel_refuses_is_tried_again(world: World) -> None:
    world.system.groups[CPU / "foreign"] = Group(runtime=900_000)
    record = world.server.add(bound())

    first = world.upkeep.adopt(record)
    del world.system.groups[CPU / "foreign"]

    assert not first
    assert world.book.entries() == ()
    assert world.upkeep.adopt(record)


def test_a_lost_store_and_groups_of_pods_that_are_gone_do_not_keep_the_node_closed() -> None:
    scene = Scene()
    orphan = scene.kernel.make_groups(CPU / f"rt-{uid(9)}-0")
    scene.kernel.groups[orphan].runtime = 900_000
    scene.server.add(bound())

    scene.open()
    opened = scene.daemon.reservations.is_open
    scene.seconds = 11
    scene.daemon.upkeep.tick()

    assert opened
    assert orphan not in scene.kernel.groups
    assert scene.daemon.book.find(uid(1)) is not None
    scene.daemon.halt()


def test_an_orphan_that_cannot_be_removed_hinders_no_other(world: World) -> None:
    stuck = world.system.make_groups(world.group(8, 0))
    world.system.groups[stuck].runtime = 100_000
    tid = world.system.spawn(stuck, "x")
    world.system.threads[tid].policy = FIFO
    other = world.system.make_groups(world.group(9, 0))
    world.system.refuse["set_policy"] = [refused()]

    world.enforcer.sweep()

    assert stuck in world.system.groups
    assert other not in world.system.groups
    assert world.system.admitted() == Fraction(1, 10)
