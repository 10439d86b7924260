"""What SCHED_DEADLINE leaves in the kernel is found and undone by a process that knows nothing."""

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from daemons.rubicante.give_back.leftovers import Leftovers
from daemons.rubicante.mechanisms.deadline.offer import DeadlineAccess
from daemons.rubicante.settings import Settings
from tests.fakes.rubicante.deadline_scene import PODS, UID, Scene, held
from tests.fakes.rubicante.domains import PROC, V1, V2
from tests.fakes.rubicante.scene import SETTINGS

ABSENT = Path("/cg/absent")
CORE = 1


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(
        SETTINGS,
        group_prefix="k40s-rt",
        cgroup_root="/",
        cpu_cgroup_path=ABSENT,
        cpuset_cgroup_path=ABSENT,
        unified_cgroup_path=V2,
        proc_path=PROC,
        store=tmp_path / "book.sqlite",
    )


def leftovers(scene: Scene, settings: Settings) -> Leftovers:
    return Leftovers(
        settings,
        system=scene.kernel,
        access=DeadlineAccess(attributes=scene.kernel, start_probe=scene.kernel),
        stop=threading.Event(),
        clock=lambda: scene.now,
    )


def enforced(kind: str, settings: Settings) -> Scene:
    """A thread with SCHED_DEADLINE, of a process that is gone."""
    scene = Scene(settings.store.with_name("cpusets.json"), kind)
    scene.kernel.files[V2 / "cgroup.controllers"] = "cpuset cpu"
    scene.spawn(50)
    scene.kernel.threads[50].last_cpu = CORE
    one = held(core=CORE)
    scene.back_end.know([one])
    scene.back_end.provide(one, grow=False)
    for _ in range(3):
        scene.enforce(50, one)
    return scene


def undo(work: Leftovers, *, known: bool = True) -> tuple[str, ...]:
    pods = {UID: (held(core=CORE),)} if known else {}
    work.release(pods)
    work.sweep({})
    return work.find(pods)


def test_a_pods_partition_of_cgroup_v2_is_undone(settings: Settings) -> None:
    scene = enforced("v2", settings)
    pod = PODS / f"pod{UID}"
    work = leftovers(scene, settings)
    before = work.find({UID: (held(core=CORE),)})

    left = undo(work)

    assert "thread 50 of pod" in " ".join(before)
    assert any(what.startswith("cpuset kubepods: was ''") for what in before)
    assert left == ()
    assert scene.kernel.threads[50].attr.policy == os.SCHED_OTHER
    assert scene.kernel.files[pod / "cpuset.cpus.partition"] == "member"
    assert {scene.kernel.files[path / "cpuset.cpus.exclusive"] for path in (PODS, pod)} == {""}


def test_a_partition_that_was_made_to_ask_is_removed(settings: Settings) -> None:
    scene = enforced("v2", settings)
    probe = PODS / "k40s-rt-probe"
    scene.kernel.make_directory(probe)
    work = leftovers(scene, settings)

    assert any("k40s-rt-probe" in what for what in work.find({}))
    assert undo(work) == ()
    assert probe not in scene.kernel.folders


@pytest.mark.parametrize("known", [True, False])
def test_cpusets_of_cgroup_v1_go_and_load_balancing_comes_back(
    known: bool, settings: Settings
) -> None:
    settings = replace(settings, cpuset_cgroup_path=V1)
    scene = enforced("v1", settings)
    rebuild = V1 / "k40s-rt-rebuild"
    scene.kernel.make_directory(rebuild)
    work = leftovers(scene, settings)
    before = work.find({})

    left = undo(work, known=known)

    assert {"cpuset k40s-rt-core-1", "cpuset .: was '1' before"} <= set(before)
    assert left == ()
    assert scene.kernel.files[V1 / "cpuset.sched_load_balance"] == "1"
    assert [path for path in scene.kernel.folders if "k40s-rt" in path.name] == []
    assert scene.kernel.threads[50].attr.policy == os.SCHED_OTHER
    assert scene.kernel.threads[50].cgroup == V1


def test_a_thread_of_a_shared_domain_is_made_ordinary(settings: Settings) -> None:
    scene = enforced("shared", settings)

    left = undo(leftovers(scene, settings))

    assert left == ()
    assert scene.kernel.threads[50].attr.policy == os.SCHED_OTHER


def test_looking_changes_nothing(settings: Settings) -> None:
    scene = enforced("v1", replace(settings, cpuset_cgroup_path=V1))
    written = list(scene.kernel.writes)

    work = leftovers(scene, replace(settings, cpuset_cgroup_path=V1))
    found = work.find({UID: (held(core=CORE),)})

    assert len(found) >= 3
    assert scene.kernel.writes == written
