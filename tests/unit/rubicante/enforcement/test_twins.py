"""Tasks of one name with one contract in several containers of a pod."""

from dataclasses import replace
from pathlib import Path

from daemons.rubicante.mechanisms.back_end import GroupName
from k40s.cpu.model import Mechanism
from tests.fakes.rubicante.deadline import FakeDeadline
from tests.fakes.rubicante.deadline_scene import Scene, held
from tests.fakes.rubicante.grants import HandMade, grant
from tests.fakes.rubicante.world import World, pod, task, uid


def test_twins_of_two_containers_stay_enforced_through_a_restart() -> None:
    deadline = FakeDeadline()
    admit = HandMade(
        grant(1, "ctl", deadline=True), grant(1, "ctl", container="side", deadline=True)
    )
    world = World(admit=admit, back_ends={Mechanism.DEADLINE: deadline}, seconds=100.0)
    world.reserve(1, task(), task(container="side"), containers=("main", "side"))
    one, other = (world.container(1, id_=number) for number in (1, 2))
    twins = [world.system.spawn(one, "ctl"), world.system.spawn(other, "ctl")]
    ids = {"main": one.name, "side": other.name}
    record = pod(1, node="edge-1", containers=("main", "side"), container_ids=ids)
    deadline.inside = {GroupName(pod_uid=uid(1), index=0): list(twins)}
    again = world.restarted()
    again.pods.upsert(record)

    again.look()

    assert sorted({tid for inside in deadline.inside.values() for tid in inside}) == twins
    assert again.enforcer.threads(uid(1)) == {("main", "ctl"): twins[0], ("side", "ctl"): twins[1]}


def test_a_new_process_tells_twins_by_their_cores(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "cpusets.json", "pinned")
    book = [held(core=0), held(core=1, index=1)]
    book[1] = replace(
        book[1], reservation=replace(book[1].reservation, tasks=book[0].reservation.tasks)
    )
    scene.back_end.know(book)
    for tid, one in zip((50, 51), book, strict=True):
        scene.spawn(tid)
        scene.kernel.threads[tid].last_cpu = one.reservation.core
        assert scene.enforce(tid, one)

    again = scene.start()
    again.know(book)

    assert [again.members(one) for one in book] == [(50,), (51,)]
