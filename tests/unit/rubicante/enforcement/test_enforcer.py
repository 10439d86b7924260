"""Which thread is found, and what is done to it."""

import os
from pathlib import Path

import pytest

from tests.fakes.rubicante.kernel import FIFO
from tests.fakes.rubicante.world import World, container_id, pod, task, uid


def test_makes_the_budget_group_when_a_pod_is_reserved(world: World) -> None:
    world.reserve()

    (server,) = [r.server for r in world.book.find(uid(1)).reservations]
    assert world.system.budget(world.group()) == (server.budget // 1000, server.period // 1000)


def test_a_thread_named_like_the_task_is_pinned_moved_and_made_fifo(world: World) -> None:
    world.reserve()
    cgroup = world.container()
    main = world.system.spawn(cgroup, "python3")
    worker = world.system.spawn(cgroup, "ctl", pid=main)

    world.look()

    thread = world.system.threads[worker]
    assert thread.cgroup == world.group()
    assert (thread.policy, thread.affinity) == (FIFO, {1})
    assert thread.priority == world.book.find(uid(1)).reservations[0].priorities[0]
    assert world.system.threads[main].cgroup == cgroup
    assert world.system.threads[main].policy == os.SCHED_OTHER


def test_pins_before_moving_and_moves_before_fifo(world: World) -> None:
    world.reserve()
    tid = world.system.spawn(world.container(), "ctl")
    world.system.calls.clear()

    world.look()

    assert [call[0] for call in world.system.calls] == ["set_affinity", "write", "set_policy"]
    assert world.system.calls[1] == ("write", world.group() / "tasks", str(tid))


def test_a_single_task_falls_back_to_the_main_thread(world: World) -> None:
    world.reserve()
    cgroup = world.container()
    main = world.system.spawn(cgroup, "python3", inner_pid=1)
    helper = world.system.spawn(cgroup, "python3", pid=main)

    world.report_status()
    world.look_when_started()

    assert world.system.threads[main].policy == FIFO
    assert world.system.threads[helper].policy == os.SCHED_OTHER


def test_an_init_container_is_not_taken_for_the_container(world: World) -> None:
    world.reserve()
    main = world.system.spawn(world.container(), "setup", inner_pid=1)

    world.look_when_started()

    assert world.system.threads[main].policy == os.SCHED_OTHER


def test_several_tasks_never_fall_back_to_the_main_thread(world: World) -> None:
    world.reserve(1, task("a"), task("b"))
    main = world.system.spawn(world.container(), "python3", inner_pid=1)

    world.look()

    assert world.system.threads[main].policy == os.SCHED_OTHER
    assert world.metric("k40s_rubicante_tasks", {"state": "waiting"}) == 2


def test_the_program_is_awaited_while_the_runtime_still_sets_up(world: World) -> None:
    world.reserve()
    main = world.system.spawn(world.container(), "runc:[2:INIT]", inner_pid=1)

    world.look()
    world.report_status()
    world.look_when_started()
    before = world.system.threads[main].policy
    world.system.threads[main].name = "python3"
    world.look()

    assert (before, world.system.threads[main].policy) == (os.SCHED_OTHER, FIFO)


def test_a_starting_program_has_time_to_name_its_thread(world: World) -> None:
    world.reserve()
    cgroup = world.container()
    main = world.system.spawn(cgroup, "python3", inner_pid=1)
    world.report_status()
    world.look()
    world.seconds = 0.9
    world.look()
    world.system.spawn(cgroup, "ctl", pid=main)
    world.look()
    world.seconds = 5
    world.look()

    assert [c for c in world.system.calls if c[:2] == ("set_policy", main)] == []


def test_a_thread_named_later_replaces_the_main_thread(world: World) -> None:
    world.reserve()
    cgroup = world.container()
    main = world.system.spawn(cgroup, "python3", inner_pid=1)
    world.report_status()
    world.look_when_started()
    between = world.system.threads[main].policy

    late = world.system.spawn(cgroup, "ctl", pid=main)
    world.look()

    first, second = world.system.threads[main], world.system.threads[late]
    assert between == FIFO
    assert (second.cgroup, second.policy) == (world.group(), FIFO)
    assert (first.cgroup, first.policy, first.affinity) == (cgroup, os.SCHED_OTHER, {0, 1})


def test_a_task_without_its_thread_is_looked_for_often_then_rarely(world: World) -> None:
    world.reserve(1, task("a"), task("b"))
    world.system.spawn(world.container(), "python3")

    delays = []
    for moment in (0.0, 0.5, 5.0, 20.0):
        world.seconds = moment
        delays.append(world.look())

    assert delays == pytest.approx([0.002, 0.01, 0.05, 1.0])


def test_a_container_without_a_process_is_looked_at_again_soon(world: World) -> None:
    world.reserve()
    absent = world.look()
    cgroup = world.container()
    empty = world.look()

    tid = world.system.spawn(cgroup, "ctl")
    world.look()

    assert (absent, empty) == (1.0, 0.002)
    assert world.system.threads[tid].policy == FIFO


def test_a_forked_child_is_sent_back_into_its_container(world: World) -> None:
    world.reserve()
    cgroup = world.container()
    parent = world.system.spawn(cgroup, "ctl")
    world.look()

    child = world.system.fork(parent, "ctl")
    world.look()

    thread = world.system.threads[child]
    assert (thread.cgroup, thread.policy, thread.affinity) == (cgroup, os.SCHED_OTHER, {0, 1})
    assert world.system.threads[parent].cgroup == world.group()


def test_what_a_program_undoes_is_done_again(world: World) -> None:
    world.reserve()
    tid = world.system.spawn(world.container(), "ctl")
    world.look()

    thread = world.system.threads[tid]
    thread.policy, thread.priority, thread.affinity = os.SCHED_OTHER, 0, frozenset({0})
    world.look()

    assert (thread.policy, thread.affinity) == (FIFO, {1})


def test_a_look_at_what_is_as_it_should_be_writes_nothing(world: World) -> None:
    world.reserve()
    world.system.spawn(world.container(), "ctl")
    world.look()
    world.system.calls.clear()

    world.look()

    assert world.system.calls == []


def test_the_sandbox_is_not_the_container(world: World) -> None:
    world.reserve()
    pause = world.system.spawn(world.container(id_=7), "pause", inner_pid=1)
    program = world.system.spawn(world.container(id_=8), "ctl", inner_pid=1)

    world.look_when_started()

    assert world.system.threads[pause].policy == os.SCHED_OTHER
    assert world.system.threads[program].policy == FIFO


def test_two_possible_containers_wait_for_the_pods_status(world: World) -> None:
    world.reserve()
    first = world.system.spawn(world.container(id_=7), "app", inner_pid=1)
    second = world.system.spawn(world.container(id_=8), "app", inner_pid=1)
    world.look_when_started()
    undecided = [world.system.threads[t].policy for t in (first, second)]

    world.pods.upsert(pod(1, node="edge-1", container_ids={"main": container_id(8)}))
    world.look_when_started()

    assert undecided == [os.SCHED_OTHER, os.SCHED_OTHER]
    assert world.system.threads[first].policy == os.SCHED_OTHER
    assert world.system.threads[second].policy == FIFO


def test_a_pod_of_two_containers_waits_for_its_status(world: World) -> None:
    world.reserve(1, task(), containers=("main", "side"))
    program = world.system.spawn(world.container(id_=5), "ctl", inner_pid=1)
    world.look()
    before = world.system.threads[program].policy

    world.pods.upsert(pod(1, node="edge-1", container_ids={"main": container_id(5)}))
    world.look()

    assert (before, world.system.threads[program].policy) == (os.SCHED_OTHER, FIFO)


def test_each_container_has_its_own_group(world: World) -> None:
    world.reserve(1, task("a", container="one"), task("b", container="two"))
    one = world.system.spawn(world.container(id_=1), "a")
    two = world.system.spawn(world.container(id_=2), "b")
    ids = {"one": container_id(1), "two": container_id(2)}
    world.pods.upsert(pod(1, node="edge-1", container_ids=ids))

    world.look()

    assert world.system.threads[one].cgroup == world.group(1, 0)
    assert world.system.threads[two].cgroup == world.group(1, 1)
    assert world.system.threads[one].priority != world.system.threads[two].priority


def test_a_restarted_container_is_enforced_anew(world: World) -> None:
    world.reserve()
    old = world.container(id_=1)
    first = world.system.spawn(old, "ctl")
    world.pods.upsert(pod(1, node="edge-1", container_ids={"main": container_id(1)}))
    world.look()
    world.system.kill(first)
    del world.system.groups[old]
    world.look()

    second = world.system.spawn(world.container(id_=2), "ctl")
    world.look()

    assert world.system.threads[second].policy == FIFO


def test_finds_a_thread_in_a_group_below_the_containers(world: World) -> None:
    world.reserve()
    inner = world.system.make_groups(world.container() / "init.scope")
    tid = world.system.spawn(inner, "ctl")

    world.look()

    assert world.system.threads[tid].cgroup == world.group()


def test_the_lag_is_counted_once_from_the_pods_cgroup_to_the_last_of_its_tasks(
    world: World,
) -> None:
    world.reserve(1, task("a"), task("b"))
    world.look()
    cgroup = world.container()
    world.look()
    world.system.spawn(cgroup, "a")
    world.seconds += 0.01
    world.look()
    world.system.spawn(cgroup, "b")
    world.seconds += 0.01

    world.look()
    world.look()

    assert world.metric("k40s_rubicante_enforcement_lag_seconds_count") == 1
    assert world.metric("k40s_rubicante_enforcement_lag_seconds_sum") == pytest.approx(0.02)


def test_news_of_one_pod_leaves_settled_ones_alone(world: World) -> None:
    world.reserve(1)
    world.system.spawn(world.container(1, id_=1), "ctl")
    world.look()
    world.reserve(2)
    newcomer = world.system.spawn(world.container(2, id_=2), "ctl")
    child = world.system.fork(world.enforcer.threads(uid(1))["main", "ctl"], "ctl")

    world.enforcer.note_events({world.container(2, id_=2).parents[1]})
    world.enforcer.look()

    assert world.system.threads[newcomer].policy == FIFO
    assert world.system.threads[child].cgroup == world.group(1)
    world.seconds += 1.1
    world.enforcer.look()
    assert world.system.threads[child].cgroup == world.container(1, id_=1)


def test_a_changed_status_is_news(world: World) -> None:
    world.reserve(1, task(), containers=("main", "side"))
    program = world.system.spawn(world.container(id_=5), "ctl", inner_pid=1)
    world.look()

    world.pods.upsert(pod(1, node="edge-1", container_ids={"main": container_id(5)}))
    world.enforcer.look()

    assert world.system.threads[program].policy == FIFO


def test_a_pod_that_is_gone_is_let_go_with_the_next_look(world: World) -> None:
    world.reserve(1)
    world.system.spawn(world.container(1, id_=1), "ctl")
    world.look()

    world.pods.delete(uid(1))
    world.enforcer.look()

    assert world.book.entries() == ()


def test_a_container_that_was_there_before_its_reservation_needs_no_news(world: World) -> None:
    world.reserve(1)
    world.enforcer.look()
    early = world.system.spawn(world.container(2, id_=2), "ctl")
    world.reserve(2)

    world.enforcer.look()

    assert world.system.threads[early].policy == FIFO


def test_news_from_within_a_pod_concerns_that_pod_alone(world: World) -> None:
    tids = {}
    for number in (1, 2):
        world.reserve(number)
        pause = world.container(number, id_=10 + number)
        world.system.spawn(pause, "pause")
    world.look()
    for number in (1, 2):
        tids[number] = world.system.spawn(world.container(number, id_=number), "ctl")

    world.enforcer.note_events({world.container(2, id_=2).parent})
    world.enforcer.look()

    policies = [world.system.threads[tid].policy for tid in tids.values()]
    assert policies == [os.SCHED_OTHER, FIFO]


def test_a_pods_cgroup_that_comes_again_is_seen_as_another(world: World) -> None:
    world.reserve()
    cgroup = world.container()
    tid = world.system.spawn(cgroup, "ctl")
    world.look()
    world.system.kill(tid)
    del world.system.groups[cgroup], world.system.groups[cgroup.parent]
    world.enforcer.note_events({cgroup.parent})
    world.enforcer.look()
    world.enforcer.look()
    gone = world.enforcer.watched()

    second = world.system.spawn(world.container(), "ctl")
    world.enforcer.note_events({cgroup.parents[1]})
    world.enforcer.look()

    assert cgroup.parent not in gone
    assert world.system.threads[second].policy == FIFO


def test_a_pod_that_takes_long_to_look_at_leaves_time_for_all_else(world: World) -> None:
    world.reserve()
    cgroup = world.container()
    for _ in range(100):
        world.system.spawn(cgroup, "worker")

    read: list[float] = []

    def take_time(path: Path) -> None:
        if path.name == "stat":
            read.append(world.seconds)
            world.seconds += 0.01

    world.system.on_read = take_time
    world.look()
    ended = world.seconds
    while world.seconds < ended + 20:
        world.seconds += max(0.001, world.enforcer.look())

    assert len(read) >= 300
    assert 0.01 * len(read) <= (world.seconds - ended) / 3


def test_a_look_sends_only_so_many_home_and_the_next_ones_the_rest(world: World) -> None:
    world.reserve()
    tid = world.system.spawn(world.container(), "ctl")
    world.look()
    children = [world.system.fork(tid, "ctl") for _ in range(600)]
    group = world.group()

    left = []
    for _ in range(4):
        world.look()
        left.append(sum(world.system.threads[child].cgroup == group for child in children))

    assert 0 < left[0] < 600
    assert left[-1] == 0
