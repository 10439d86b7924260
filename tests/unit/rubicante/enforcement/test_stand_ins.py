"""Whose thread, whose cgroup: what is enforced, what is not, and what is said of it."""

import json
import os
from dataclasses import replace

import pytest

from daemons.rubicante.enforcement.conditions import Trouble
from k40s.kube.records import ContainerState
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.http import state_of
from tests.fakes.rubicante.kernel import CPU, FIFO
from tests.fakes.rubicante.watched import Watched
from tests.fakes.rubicante.world import World, container_id, pod, task, uid

STAND_IN = {"state": "stand-in"}


def is_fifo(world: World, tid: int) -> bool:
    return world.system.threads[tid].policy == FIFO


def counts(world: World) -> list[float | None]:
    states = ("enforced", "stand-in", "waiting")
    return [world.metric("k40s_rubicante_tasks", {"state": state}) for state in states]


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.mark.parametrize("wrapper", ["sh", "tini", "dumb-init", "my-entrypoint"])
def test_a_wrapper_is_not_enforced_in_place_of_its_child_and_the_pod_is_told(
    watched: Watched, wrapper: str
) -> None:
    world = watched.world
    world.reserve()
    cgroup = world.container()
    main = world.system.spawn(cgroup, wrapper, inner_pid=1)
    child = world.system.spawn(cgroup, "python3", inner_pid=7, parent=main)
    world.report_status()
    world.look_when_started()
    world.seconds += 10
    world.look()

    (event,) = watched.events()

    assert not is_fifo(world, main)
    assert not is_fifo(world, child)
    assert counts(world) == [0, 0, 1]
    assert event[:2] == (uid(1), "TaskWithoutThread")
    assert event[2].startswith("no thread bears the name of ctl (container main)")
    assert repr(wrapper) in event[2]
    assert "'python3'" in event[2]
    assert "pthread_setname_np" in event[2]


def test_a_wrappers_child_that_bears_the_name_is_enforced(world: World) -> None:
    world.reserve()
    cgroup = world.container()
    shell = world.system.spawn(cgroup, "sh", inner_pid=1)
    child = world.system.spawn(cgroup, "ctl", inner_pid=7, parent=shell)

    world.look()

    assert (is_fifo(world, shell), is_fifo(world, child)) == (False, True)
    assert counts(world) == [1, 0, 0]


def test_a_main_thread_that_stands_in_is_announced_and_counted_as_such(watched: Watched) -> None:
    world = watched.world
    world.reserve()
    main = world.system.spawn(world.container(), "python3", inner_pid=1)
    world.report_status()
    world.look_when_started()

    ((pod_uid, reason, text),) = watched.events()

    assert is_fifo(world, main)
    assert counts(world) == [0, 1, 0]
    assert (pod_uid, reason) == (uid(1), "MainThreadStandsIn")
    assert text == (
        "no thread bears the name of ctl (container main): its main thread, 'python3' "
        f"(TID {main}), is held to the budget instead; to be sure that it is the right one, name "
        "the task's thread (pthread_setname_np, prctl PR_SET_NAME)"
    )
    assert world.enforcer.conditions() == ()
    (shown,) = json.loads(state_of(world).document())["pods"]
    assert shown["threads"] == [
        {"container": "main", "task": "ctl", "thread": main, "stand_in": True}
    ]


def test_a_stand_in_of_a_program_with_several_threads_is_told_as_one_of_them(
    watched: Watched,
) -> None:
    world = watched.world
    world.reserve()
    cgroup = world.container()
    main = world.system.spawn(cgroup, "python3", inner_pid=1)
    world.system.spawn(cgroup, "python3", pid=main, inner_pid=1)
    world.report_status()
    world.look_when_started()

    ((_, _, text),) = watched.events()

    assert f"'python3' (TID {main}, one of 2 threads), is held" in text


def test_a_stand_in_that_turns_out_to_start_others_is_let_go_and_told(watched: Watched) -> None:
    world = watched.world
    world.reserve()
    cgroup = world.container()
    main = world.system.spawn(cgroup, "entrypoint", inner_pid=1)
    world.report_status()
    world.look_when_started()
    before = is_fifo(world, main)
    world.system.spawn(cgroup, "worker", inner_pid=9, parent=main)
    world.look()
    world.seconds += 9
    world.look()
    during = is_fifo(world, main)
    world.seconds += 1
    world.look()
    watched.events()

    thread = world.system.threads[main]
    assert (before, during) == (True, True)
    assert (thread.policy, thread.affinity) == (os.SCHED_OTHER, {0, 1})
    assert thread.cgroup == cgroup
    (wrong,) = world.enforcer.conditions()
    assert "which of them does the work cannot be told" in wrong.text


def test_a_stand_in_that_runs_a_command_for_a_moment_stays(world: World) -> None:
    world.reserve()
    cgroup = world.container()
    main = world.system.spawn(cgroup, "python3", inner_pid=1)
    world.report_status()
    world.look_when_started()
    for _ in range(5):
        helper = world.system.spawn(cgroup, "cat", inner_pid=9, parent=main)
        world.seconds += 5
        world.look()
        world.system.kill(helper)
        world.seconds += 5
        world.look()

    assert is_fifo(world, main)


def test_a_probe_changes_nothing(world: World) -> None:
    world.reserve()
    cgroup = world.container()
    shim = world.system.spawn(CPU, "containerd-shim")
    main = world.system.spawn(cgroup, "python3", inner_pid=1, parent=shim)
    world.report_status()
    probe = world.system.spawn(cgroup, "ctl", inner_pid=20, parent=shim)
    world.look_when_started()
    world.seconds += 60
    world.look()

    assert (is_fifo(world, main), is_fifo(world, probe)) == (False, False)
    world.system.kill(probe)
    world.look()
    assert is_fifo(world, main)


def test_a_new_process_lets_a_wrapper_go_that_was_enforced_before(world: World) -> None:
    world.reserve()
    cgroup = world.container()
    main = world.system.spawn(cgroup, "entrypoint", inner_pid=1)
    world.system.threads[main].other_cgroup = f"/{cgroup.relative_to(CPU)}"
    world.report_status()
    world.look_when_started()
    assert is_fifo(world, main)
    world.system.spawn(cgroup, "worker", inner_pid=9, parent=main)
    after = world.restarted()
    after.pods.upsert(pod(1, node=NODE, container_ids={"main": container_id(1)}))

    after.look()

    assert not is_fifo(world, main)


@pytest.mark.parametrize("kind", ["init_containers", "sidecars", "ephemeral_containers"])
def test_another_container_whose_thread_has_the_name_is_never_enforced(
    world: World, kind: str
) -> None:
    world.reserve(**{kind: ("other",)})
    other = world.system.spawn(world.container(id_=1), "ctl", inner_pid=1)
    record = replace(pod(1, node=NODE), **{kind: ("other",)})
    world.pods.upsert(record)
    world.look_when_started()
    before = is_fifo(world, other)

    world.pods.upsert(replace(record, container_ids={"other": container_id(1)}))
    world.look_when_started()
    between = is_fifo(world, other)
    task_thread = world.system.spawn(world.container(id_=2), "ctl", inner_pid=1)
    ids = {"other": container_id(1), "main": container_id(2)}
    world.pods.upsert(replace(record, container_ids=ids))
    world.look_when_started()

    assert (before, between) == (False, False)
    assert (is_fifo(world, other), is_fifo(world, task_thread)) == (False, True)


def test_a_debug_container_that_comes_later_is_not_taken_for_a_restarted_one(
    world: World,
) -> None:
    world.reserve()
    record = pod(1, node=NODE, container_ids={"main": container_id(1)})
    world.pods.upsert(replace(record, ephemeral_containers=("debugger",)))

    debug = world.system.spawn(world.container(id_=5), "ctl", inner_pid=1)
    world.look_when_started()

    assert not is_fifo(world, debug)


def test_a_task_in_a_sidecar_is_enforced_once_the_status_names_it(world: World) -> None:
    world.reserve(1, task(container="log"), containers=("main",), sidecars=("log",))
    thread = world.system.spawn(world.container(id_=3), "ctl", inner_pid=1)
    record = replace(pod(1, node=NODE), sidecars=("log",))
    world.pods.upsert(replace(record, container_ids={"log": container_id(3)}))

    world.look()

    assert is_fifo(world, thread)


def test_a_monitor_beside_the_container_is_left_alone(world: World) -> None:
    world.reserve()
    id_ = "0" * 64
    directory = world.container().parent
    monitor = world.system.make_groups(directory / f"crio-conmon-{id_}.scope")
    cgroup = world.system.make_groups(directory / f"crio-{id_}.scope")
    conmon = world.system.spawn(monitor, "conmon")
    main = world.system.spawn(cgroup, "python3", inner_pid=1)
    world.pods.upsert(pod(1, node=NODE, container_ids={"main": id_}))

    world.look_when_started()

    assert (is_fifo(world, conmon), is_fifo(world, main)) == (False, True)


def test_no_main_thread_stands_in_for_a_container_that_does_not_run_by_its_status(
    world: World,
) -> None:
    world.reserve()
    main = world.system.spawn(world.container(), "python3", inner_pid=1)
    record = pod(1, node=NODE, container_ids={"main": container_id(1)})
    states = {"main": ContainerState(running=False, text="ContainerCreating")}
    world.pods.upsert(replace(record, states=states))
    world.look_when_started()
    before = is_fifo(world, main)

    world.pods.upsert(replace(record, states={"main": ContainerState(running=True)}))
    world.look_when_started()

    assert (before, is_fifo(world, main)) == (False, True)


def test_two_processes_of_the_tasks_name_are_told_and_none_is_enforced(watched: Watched) -> None:
    world = watched.world
    world.reserve()
    cgroup = world.container()
    shell = world.system.spawn(cgroup, "sh", inner_pid=1)
    twins = [world.system.spawn(cgroup, "ctl", inner_pid=n, parent=shell) for n in (8, 9)]
    world.report_status()
    world.look()
    world.seconds += 10
    world.look()

    ((_, reason, text),) = watched.events()

    assert [is_fifo(world, tid) for tid in twins] == [False, False]
    assert [c.trouble for c in world.enforcer.conditions()] == [Trouble.THREAD_UNCLEAR]
    assert reason == "TaskWithoutThread"
    assert "threads of several processes bear the name" in text
    world.system.kill(twins[1])
    world.look()
    assert is_fifo(world, twins[0])
    assert world.enforcer.conditions() == ()
