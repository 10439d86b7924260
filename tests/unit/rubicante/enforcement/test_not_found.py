"""A container that runs by its pod's status and is not held is told within ten seconds."""

import errno
import json
from dataclasses import replace

import pytest

from daemons.rubicante.enforcement.conditions import Trouble
from k40s.criticality import Criticality
from k40s.kube.records import ContainerState, PodRecord
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.http import state_of
from tests.fakes.rubicante.kernel import CPU, FIFO
from tests.fakes.rubicante.watched import Watched
from tests.fakes.rubicante.world import World, container_id, pod, task, uid

RUNS = {"main": ContainerState(running=True)}
CRASHES = ContainerState(
    running=False, failing=True, text="CrashLoopBackOff, Error with exit code 1 before"
)


def running(**changes: object) -> PodRecord:
    ids = {"main": container_id(1)}
    record = pod(1, node=NODE, phase="Running", container_ids=ids)
    return replace(record, states=RUNS, **changes)


@pytest.fixture
def watched() -> Watched:
    watched = Watched()
    watched.world.reserve(criticality=Criticality.HI)
    watched.world.pods.upsert(running())
    return watched


def look_for(world: World, seconds: int) -> None:
    """Looks once a second, the last one at the end."""
    for _ in range(seconds):
        world.look()
        world.seconds += 1
    world.look()


def told(watched: Watched, seconds: int = 9) -> tuple[str, str]:
    """The one condition and the one event within ten seconds."""
    look_for(watched.world, seconds)
    ((pod_uid, reason, text),) = watched.events()
    (condition,) = watched.world.enforcer.conditions()
    (shown,) = json.loads(state_of(watched.world).document())["pods"]
    assert pod_uid == uid(1)
    assert condition.text == text
    assert shown["conditions"] == [
        {"trouble": condition.trouble.value, "container": "main", "text": text}
    ]
    name = "k40s_rubicante_conditions"
    assert watched.world.metric(name, {"trouble": condition.trouble.value}) == 1
    assert watched.world.metric("k40s_rubicante_tasks", {"state": "waiting"}) == 1
    return f"{condition.trouble.value} {reason}", text


def test_a_pod_without_a_cgroup_is_told_with_where_it_was_looked_for(watched: Watched) -> None:
    watched.world.system.make_groups(CPU / "k8s" / "kubepods" / "burstable")

    code, text = told(watched)

    assert code == "pod-not-found CgroupNotFound"
    assert f"looked for pod {uid(1)} in /cg/cpu/k8s/kubepods and" in text


def test_a_wrong_cgroup_root_is_told_with_the_right_one(watched: Watched) -> None:
    watched.world.system.make_groups(CPU / "kubelet.slice" / "kubelet-kubepods.slice")

    code, text = told(watched)

    assert code == "pod-not-found CgroupNotFound"
    assert "/kubelet.slice/kubelet-kubepods.slice (cgroupRoot /kubelet)" in text
    assert "is K40S_CGROUP_ROOT kubelet's cgroupRoot?" in text


def test_kubepods_that_are_left_where_they_were_once_do_not_hide_the_others(
    watched: Watched,
) -> None:
    for path in ("k8s/kubepods", "other/kubepods"):
        watched.world.system.make_groups(CPU / path)

    _, text = told(watched)

    assert "there are some at /other/kubepods (cgroupRoot /other)" in text
    assert "/k8s/kubepods (" not in text


def test_no_kubepods_at_all_is_told(watched: Watched) -> None:
    _, text = told(watched)

    assert "/cg/cpu has none at all" in text


def test_a_pods_cgroup_without_the_containers_is_told_with_what_is_there(
    watched: Watched,
) -> None:
    directory = watched.world.container(id_=7).parent
    watched.world.system.make_groups(directory / f"strange-{container_id(1)}.scope")

    code, text = told(watched)

    assert code == "container-not-found CgroupNotFound"
    assert str(directory) in text
    assert f"strange-{container_id(1)}.scope" in text
    assert f"nothing of id {container_id(1)}" in text


def test_an_empty_pods_cgroup_is_told(watched: Watched) -> None:
    watched.world.system.make_groups(watched.world.container().parent)
    del watched.world.system.groups[watched.world.container()]

    code, text = told(watched)

    assert code == "container-not-found CgroupNotFound"
    assert "has no cgroup" in text


def test_a_containers_cgroup_without_a_thread_is_told(watched: Watched) -> None:
    watched.world.container()

    code, _ = told(watched)

    assert code == "no-thread CgroupNotFound"


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO])
@pytest.mark.parametrize("call", ["directories", "read"])
def test_a_tree_that_cannot_be_read_is_told_with_the_error(
    watched: Watched, code: int, call: str
) -> None:
    watched.world.system.spawn(watched.world.container(), "ctl")
    watched.world.system.refuse[call] = [OSError(code, "broken", "/cg/x")] * 1000

    found, text = told(watched)

    assert found == "unreadable CgroupNotFound"
    assert "broken: '/cg/x'" in text
    watched.world.system.refuse.clear()
    look_for(watched.world, 2)
    assert watched.world.enforcer.conditions() == ()
    assert watched.world.metric("k40s_rubicante_tasks", {"state": "enforced"}) == 1


def test_a_tree_that_cannot_be_read_leaves_what_is_enforced_alone(watched: Watched) -> None:
    tid = watched.world.system.spawn(watched.world.container(), "ctl")
    watched.world.look()
    watched.world.system.refuse["directories"] = [PermissionError(errno.EACCES, "no")] * 1000

    look_for(watched.world, 20)

    assert watched.world.system.threads[tid].policy == FIFO
    assert watched.world.enforcer.conditions() == ()


def test_a_container_that_starts_anew_while_nothing_can_be_read_is_told(watched: Watched) -> None:
    world = watched.world
    world.system.spawn(world.container(), "ctl")
    world.look()
    world.system.refuse["directories"] = [PermissionError(errno.EACCES, "no")] * 1000
    world.seconds += 1
    world.pods.upsert(replace(running(), container_ids={"main": container_id(2)}))

    look_for(world, 9)

    (condition,) = world.enforcer.conditions()
    assert condition.trouble is Trouble.UNREADABLE
    assert condition.tasks == ("ctl",)
    world.system.refuse.clear()
    world.system.spawn(world.container(id_=2), "ctl")
    look_for(world, 2)
    assert world.enforcer.conditions() == ()


def test_a_pod_that_runs_by_its_phase_alone_is_told_too(watched: Watched) -> None:
    watched.world.pods.upsert(pod(1, node=NODE, phase="Running"))

    code, _ = told(watched)

    assert code == "pod-not-found CgroupNotFound"


def test_other_containers_that_come_and_go_do_not_delay_it(watched: Watched) -> None:
    world = watched.world
    for number in range(9):
        cgroup = world.container(id_=20 + number)
        world.look()
        world.seconds += 1
        del world.system.groups[cgroup]
    world.container(id_=30)

    code, _ = told(watched, 0)

    assert code == "container-not-found CgroupNotFound"


def test_threads_without_the_name_are_told_although_others_come_and_go() -> None:
    watched = Watched()
    world = watched.world
    world.reserve(1, task("a"), task("b"))
    world.pods.upsert(running())
    world.system.spawn(world.container(), "python3")
    for number in range(11):
        cgroup = world.container(id_=20 + number)
        world.look()
        world.seconds += 1
        del world.system.groups[cgroup]
    world.look()

    assert [c.trouble for c in world.enforcer.conditions()] == [Trouble.THREAD_MISSING]


@pytest.mark.parametrize(
    "record",
    [
        pod(1, node=NODE),
        pod(1, node=NODE, container_ids={"main": container_id(1)}),
        running(deleting=True),
        replace(running(), states={"main": ContainerState(running=False, text="waiting")}),
        replace(running(), states={"main": ContainerState(running=False, text="Completed")}),
    ],
)
def test_a_pod_that_starts_ends_or_is_done_is_not_complained_of(
    watched: Watched, record: PodRecord
) -> None:
    watched.world.pods.upsert(record)
    look_for(watched.world, 30)

    assert watched.world.enforcer.conditions() == ()
    assert watched.events() == []


def test_a_container_that_starts_anew_is_given_its_time(watched: Watched) -> None:
    world = watched.world
    tid = world.system.spawn(world.container(id_=1), "ctl")
    look_for(world, 30)
    world.system.kill(tid)
    del world.system.groups[world.container(id_=1)]
    world.pods.upsert(replace(running(), container_ids={"main": container_id(2)}))

    look_for(world, 4)

    assert world.enforcer.conditions() == ()
    world.system.spawn(world.container(id_=2), "ctl")
    look_for(world, 2)
    assert world.metric("k40s_rubicante_tasks", {"state": "enforced"}) == 1


@pytest.mark.parametrize(
    "state",
    [
        CRASHES,
        ContainerState(running=False, failing=True, text="ImagePullBackOff"),
        ContainerState(running=False, failing=True, text="OOMKilled with exit code 137"),
    ],
)
def test_a_container_that_cannot_run_is_told_as_not_running_and_why(
    watched: Watched, state: ContainerState
) -> None:
    watched.world.system.spawn(watched.world.container(id_=9), "pause")
    watched.world.pods.upsert(replace(running(), states={"main": state}))

    code, text = told(watched)

    assert code == "not-running TaskNotRunning"
    assert text == f"container main does not run, and so not ctl: {state.text}"


def test_every_trouble_has_its_words_and_none_says_that_what_does_not_run_is_ordinary(
    watched: Watched,
) -> None:
    watched.world.pods.upsert(replace(running(), states={"main": CRASHES}))

    _, text = told(watched)

    assert "ordinary" not in text
