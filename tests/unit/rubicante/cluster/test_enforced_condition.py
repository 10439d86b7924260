"""The condition k40s.io/enforced: true while the kernel holds all, and written on change."""

import errno
from dataclasses import replace

import pytest

from k40s.annotations import ALLOCATION_KEY
from k40s.kube.records import PodCondition
from tests.fakes.enforced_scene import EnforcedScene as Scene
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.world import pod, task, uid

HELD = "Enforced"


@pytest.fixture
def scene() -> Scene:
    made = Scene()
    made.world.reserve(1)
    made.bind(1)
    return made


def test_a_pod_waits_and_then_is_enforced_and_each_is_written_once(scene: Scene) -> None:
    scene.look()
    scene.start()
    for _ in range(5):
        scene.look()

    assert scene.written == [(uid(1), False, "Waiting"), (uid(1), True, HELD)]
    assert [turned for _, _, turned in scene.world.server.conditions] == [True, True]


def test_a_waiting_pod_is_told_which_tasks_it_waits_for(scene: Scene) -> None:
    scene.look()

    ((_, condition, _),) = scene.world.server.conditions
    assert condition.message == "not held yet: ctl (container main)"


def test_a_main_thread_that_stands_in_is_held_and_said_to_stand_in_until_the_task_has_its_own(
    scene: Scene,
) -> None:
    main = scene.world.system.spawn(scene.world.container(), "python3", inner_pid=1)
    for number in range(9):
        scene.world.system.spawn(scene.world.container(), f"pool-{number}", pid=main)
        scene.look()
    (_, condition, _) = scene.world.server.conditions[-1]
    written = len(scene.written)
    scene.world.system.spawn(scene.world.container(), "ctl", pid=main)
    scene.look()
    scene.look()

    assert (condition.status, condition.reason) == (True, "MainThreadStandsIn")
    assert "no thread bears the name of ctl (container main)" in condition.message
    assert written == 2  # whatever other threads come meanwhile
    assert scene.written[-1] == (uid(1), True, HELD)


def test_a_pod_is_enforced_when_all_its_tasks_are_and_not_before() -> None:
    scene = Scene()
    scene.world.reserve(1, task("ctl"), task("log"))
    scene.bind()
    scene.start()
    scene.look()
    before = scene.reasons

    scene.world.system.spawn(scene.world.container(), "log")
    scene.look()

    assert (before, scene.reasons) == (["Waiting"], ["Waiting", HELD])


def test_a_pod_that_is_reserved_for_and_not_bound_has_no_condition() -> None:
    scene = Scene()
    scene.world.reserve(1)

    scene.look()

    assert scene.written == []


def test_a_pod_without_tasks_has_no_condition() -> None:
    scene = Scene()
    scene.bind(7)

    scene.look()

    assert scene.written == []


def test_a_thread_that_is_lost_turns_the_condition_at_the_second_look(scene: Scene) -> None:
    tid = scene.start()
    scene.look()
    scene.end(tid)

    scene.look()
    first = scene.reasons
    scene.look()

    assert (first, scene.reasons) == ([HELD], [HELD, "Waiting"])


def test_a_thread_that_is_replaced_at_once_costs_no_write(scene: Scene) -> None:
    tid = scene.start()
    scene.look()
    scene.end(tid)
    scene.enforced.look()
    scene.start()

    scene.look()

    assert scene.reasons == [HELD]


def test_a_trouble_is_the_reason_and_its_text_is_that_of_the_event(scene: Scene) -> None:
    scene.start()
    scene.world.system.refuse["set_policy"] = [PermissionError(errno.EPERM, "not now")]

    scene.look()

    ((_, condition, _),) = scene.world.server.conditions
    assert (condition.status, condition.reason) == (False, "RefusedByKernel")
    assert condition.message.startswith("ctl (container main) is not enforced: ")
    assert "not now" in condition.message


def test_the_trouble_that_follows_waiting_does_not_turn_the_status_again() -> None:
    scene = Scene()
    scene.world.reserve(1, task("ctl"), task("log"))
    scene.bind()
    scene.start()
    scene.look()

    scene.look(11)

    assert scene.reasons == ["Waiting", "ThreadMissing"]
    assert [turned for _, _, turned in scene.world.server.conditions] == [True, False]


def test_a_pod_whose_reservation_is_lost_is_not_enforced() -> None:
    scene = Scene()
    held = PodCondition(status=True, reason=HELD, message="")
    bound = pod(3, node=NODE, phase="Running", annotations={ALLOCATION_KEY: "{}"})
    scene.world.pods.upsert(scene.world.server.add(replace(bound, enforced=held)))

    scene.look()

    assert scene.written == [(uid(3), False, "ReservationMissing")]


@pytest.mark.parametrize("change", [{"phase": "Succeeded"}, {"deleting": True}])
def test_a_pod_that_ends_is_left_as_it_is(scene: Scene, change: dict[str, object]) -> None:
    tid = scene.start()
    scene.look()
    record = scene.world.server.pods["default", "pod-1"]
    scene.world.pods.upsert(scene.world.server.add(replace(record, **change)))
    scene.end(tid)

    for _ in range(3):
        scene.look()

    assert scene.reasons == [HELD]


def test_a_new_daemon_writes_nothing_where_nothing_has_changed(scene: Scene) -> None:
    scene.start()
    scene.look()
    scene.look()

    again = Scene(scene.world.restarted())
    again.bind()
    again.enforced.look()  # before its enforcer has looked
    again.look()
    again.look()

    assert again.reasons == [HELD]


def test_what_is_written_is_not_written_again_before_it_is_seen(scene: Scene) -> None:
    scene.echo = False
    scene.start()

    for _ in range(5):
        scene.look()

    assert scene.reasons == [HELD]


def test_a_condition_that_somebody_removes_comes_back(scene: Scene) -> None:
    scene.start()
    scene.look()
    scene.look()
    record = scene.world.server.pods["default", "pod-1"]
    scene.world.server.add(replace(record, enforced=None))
    scene.world.pods.upsert(replace(record, enforced=None))

    scene.look()

    assert scene.reasons == [HELD, HELD]


def test_an_api_server_that_is_away_is_asked_less_and_less_and_gets_the_truth(
    scene: Scene,
) -> None:
    tid = scene.start()
    scene.world.server.down = True
    for _ in range(60):
        scene.look()
    failed = scene.world.metric("k40s_rubicante_pod_condition_writes_total", {"outcome": "failed"})
    scene.end(tid)
    scene.world.server.down = False

    for _ in range(60):
        scene.look()

    assert failed is not None
    assert 5 <= failed <= 8  # after 1, 2, 4 ... 30 s
    assert not scene.world.server.conditions[-1][1].status
    assert HELD not in scene.reasons


def test_a_pod_that_cannot_be_written_holds_up_nobody(scene: Scene) -> None:
    other = replace(scene.world.server.pods["default", "pod-1"], uid=uid(9), node="elsewhere")
    scene.world.server.add(other)
    for number in (2, 3):
        scene.world.reserve(number, task(wcet_ms=1))
        scene.bind(number)
        scene.start(number)

    scene.look()
    scene.look(2.0)

    assert {(one, status) for one, status, _ in scene.written} == {(uid(2), True), (uid(3), True)}


def test_a_pod_that_is_refused_for_ever_makes_no_others_loss_late(scene: Scene) -> None:
    other = replace(scene.world.server.pods["default", "pod-1"], uid=uid(9), node="elsewhere")
    scene.world.server.add(other)
    scene.world.reserve(2, task(wcet_ms=1))
    scene.bind(2)
    tid = scene.start(2)
    for _ in range(100):
        scene.look()
    failed = scene.world.metric("k40s_rubicante_pod_condition_writes_total", {"outcome": "failed"})

    scene.end(tid)
    scene.look()
    scene.look()

    assert scene.written == [(uid(2), True, HELD), (uid(2), False, "NoThread")]
    assert failed is not None
    assert 2 <= failed <= 5


def test_a_pod_that_is_gone_is_no_failure_of_the_api_server(scene: Scene) -> None:
    del scene.world.server.pods["default", "pod-1"]
    scene.world.reserve(2, task(wcet_ms=1))
    scene.bind(2)
    scene.start(2)

    scene.look()

    assert scene.written == [(uid(2), True, HELD)]
