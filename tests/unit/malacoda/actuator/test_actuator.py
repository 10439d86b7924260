"""The actuator on cgroups in memory: what it does, what it refuses, what it undoes."""

import errno
import json
import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from daemons.malacoda.actuator.protocol import Refusal, Result, Verb
from daemons.malacoda.actuator.real_time import ReservationFile
from k40s.assurance.response.acts import Step
from k40s.errors import UnavailableError
from k40s.node_agent.overrun_counts import format_counts
from tests.fakes.malacoda.actuator import Machine
from tests.fakes.malacoda.kernel import CONTAINER, FakeKernel, uid


def entry(path: str) -> str:
    """What the disk may hold of a frozen pod."""
    steps = [{"step": "freeze", "writes": [[path, "THAWED", "FROZEN"]]}]
    return json.dumps({"uid": uid(1), "pod": "a/b", "quota": None, "steps": steps})


BOTH = pytest.mark.parametrize("unified", [False, True], ids=["v1", "v2"])


@BOTH
def test_a_throttled_pod_has_its_own_values_back_afterwards(
    unified: bool,
) -> None:
    machine = Machine(kernel=FakeKernel(unified=unified))
    path = machine.kernel.pod(uid(1), limit=60, containers=2)
    before = machine.kernel.snapshot()

    done = machine.ask(Verb.THROTTLE)
    throttled = machine.kernel.quota(path)
    undone = machine.ask(Verb.UNTHROTTLE)

    assert done.result is Result.DONE
    assert [(held.uid, held.pod, held.steps) for held in done.held] == [
        (uid(1), "default/pod-1", (Step.QUOTA,))
    ]
    assert throttled.split()[0] == "10000"
    assert (undone.result, undone.held) == (Result.DONE, ())
    assert machine.kernel.snapshot() == before
    assert "hold" not in "".join(key for key in machine.store.texts if key != "acts")


@BOTH
def test_a_frozen_pod_is_thawed_in_the_order_of_the_steps(unified: bool) -> None:
    machine = Machine(kernel=FakeKernel(unified=unified))
    path = machine.kernel.pod(uid(1))
    before = machine.kernel.snapshot()

    machine.ask(Verb.THROTTLE)
    both = machine.ask(Verb.FREEZE)

    assert both.held[0].steps == (Step.QUOTA, Step.FREEZE)
    assert machine.kernel.frozen(path)
    thawed = machine.ask(Verb.THAW)
    assert thawed.held[0].steps == (Step.QUOTA,)
    assert not machine.kernel.frozen(path)
    machine.ask(Verb.UNTHROTTLE)
    assert machine.kernel.snapshot() == before


@pytest.mark.parametrize("known", [frozenset({uid(1)}), None])
def test_a_pod_with_real_time_tasks_is_throttled_and_never_frozen(
    known: frozenset[str] | None,
) -> None:
    machine = Machine(real_time=known)
    path = machine.kernel.pod(uid(1))

    throttled, frozen = machine.ask(Verb.THROTTLE), machine.ask(Verb.FREEZE)

    assert throttled.result is Result.DONE
    assert (frozen.result, frozen.reason) == (Result.REFUSED, Refusal.REAL_TIME.value)
    assert not machine.kernel.frozen(path)


def test_rubicantes_file_says_which_pods_have_real_time_tasks(tmp_path: Path) -> None:
    path = tmp_path / "counts.json"
    missing = ReservationFile(path).find()
    path.write_text(format_counts({uid(1): 0, uid(2): 7}))
    found = ReservationFile(path).find()
    path.write_text("{")

    assert ReservationFile(None).find() == frozenset()
    assert missing == frozenset()
    assert found == {uid(1), uid(2)}
    assert ReservationFile(path).find() is None


def test_an_act_may_be_repeated_and_so_may_its_undoing() -> None:
    machine = Machine()
    machine.kernel.pod(uid(1))
    machine.ask(Verb.THROTTLE)
    writes = len(machine.kernel.writes)

    assert machine.ask(Verb.THROTTLE).result is Result.DONE
    assert len(machine.kernel.writes) == writes
    assert machine.ask(Verb.UNTHROTTLE).result is Result.DONE
    assert machine.ask(Verb.UNTHROTTLE).result is Result.DONE
    assert machine.ask(Verb.THAW).result is Result.DONE


def test_it_is_on_disk_before_the_first_write() -> None:
    machine = Machine()
    machine.kernel.pod(uid(1))
    seen: list[bool] = []
    machine.kernel.before = lambda _path, _text: seen.append(uid(1) in machine.store.texts)

    machine.ask(Verb.THROTTLE)
    machine.ask(Verb.FREEZE)

    assert seen == [True, True]


@pytest.mark.parametrize(
    ("verb", "change", "reason"),
    [
        (Verb.FREEZE, {"allowed": frozenset({Step.QUOTA})}, Refusal.NOT_ALLOWED),
        (Verb.THROTTLE, {"allowed": frozenset()}, Refusal.NOT_ALLOWED),
        (Verb.THROTTLE, {"own_pod": uid(1)}, Refusal.OWN_POD),
    ],
)
def test_what_the_gate_does_not_allow_is_refused_whatever_is_asked(
    verb: Verb, change: dict[str, object], reason: Refusal
) -> None:
    machine = Machine()
    machine.policy = replace(machine.policy, **change)  # type: ignore[arg-type]  # fields of it
    machine.start()
    machine.kernel.pod(uid(1))

    answer = machine.ask(verb)

    assert (answer.result, answer.reason) == (Result.REFUSED, reason)
    assert machine.kernel.writes == []


def test_an_unknown_pod_is_refused() -> None:
    assert Machine().ask(Verb.THROTTLE).reason == Refusal.UNKNOWN_POD


def test_no_more_pods_are_held_at_once_than_the_limit() -> None:
    machine = Machine()
    for number in range(5):
        machine.kernel.pod(uid(number))

    answers = [machine.ask(Verb.THROTTLE, number) for number in range(5)]

    assert [answer.reason for answer in answers] == ["", "", "", Refusal.HOLDS, Refusal.HOLDS]
    assert machine.ask(Verb.FREEZE, 0).result is Result.DONE
    machine.ask(Verb.UNTHROTTLE, 1)
    assert machine.ask(Verb.THROTTLE, 4).result is Result.DONE


def test_no_hour_has_more_acts_than_the_limit_though_the_actuator_is_killed_meanwhile() -> None:
    machine = Machine()
    machine.kernel.pod(uid(1))
    reasons = []
    for _ in range(14):
        reasons.append(machine.ask(Verb.THROTTLE).reason)
        machine.ask(Verb.UNTHROTTLE)
        machine.start()

    assert reasons == [""] * 12 + [Refusal.ACTS] * 2
    machine.clock.pass_seconds(3600)
    assert machine.ask(Verb.THROTTLE).result is Result.DONE


def test_acts_of_another_boot_do_not_count() -> None:
    machine = Machine()
    machine.kernel.pod(uid(1))
    for _ in range(12):
        machine.ask(Verb.THROTTLE)
        machine.ask(Verb.UNTHROTTLE)
    machine.boot = "boot-2"
    machine.start()

    assert machine.ask(Verb.THROTTLE).result is Result.DONE


def test_two_acts_are_some_time_apart() -> None:
    machine = Machine()
    machine.kernel.pod(uid(1))
    machine.ask(Verb.THROTTLE)
    machine.clock.pass_seconds(-0.9)

    assert machine.ask(Verb.FREEZE).reason == Refusal.COOLDOWN


@BOTH
def test_what_the_kernel_refuses_leaves_nothing_in_force(unified: bool) -> None:
    machine = Machine(kernel=FakeKernel(unified=unified))
    path = machine.kernel.pod(uid(1), limit=60, containers=2)
    before = machine.kernel.snapshot()

    def refuse(written: str, text: str) -> None:
        if written.split("/")[-2].endswith(uid(1)) and text.startswith("10000"):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    machine.kernel.before = refuse
    answer = machine.ask(Verb.THROTTLE)

    assert answer.result is Result.FAILED
    assert "Invalid argument" in answer.text
    assert answer.held == ()
    assert machine.kernel.snapshot() == before
    assert machine.kernel.quota(path) != "10000"


def test_a_disk_that_is_full_keeps_it_from_acting() -> None:
    machine = Machine()
    machine.kernel.pod(uid(1))

    def full(_key: str) -> None:
        raise UnavailableError("disk full")

    machine.store.before = full
    answer = machine.ask(Verb.THROTTLE)

    assert (answer.result, answer.text) == (Result.FAILED, "disk full")
    assert machine.kernel.writes == []


def test_an_undoing_that_fails_is_tried_again_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = Machine()
    path = machine.kernel.pod(uid(1))
    machine.ask(Verb.THROTTLE)

    def refuse(_path: str, _text: str) -> None:
        raise OSError(errno.EACCES, "no")

    machine.kernel.before = refuse
    assert machine.ask(Verb.UNTHROTTLE).result is Result.FAILED
    machine.actuator.look()
    machine.actuator.look()
    assert machine.kernel.quota(path) == "10000"
    assert [held.uid for held in machine.ask(Verb.KEEP).held] == [uid(1)]

    machine.kernel.before = lambda _path, _text: None
    machine.actuator.look()

    assert machine.kernel.quota(path) == "-1"
    assert machine.actuator.holds == ()
    assert [one.message for one in caplog.records].count("hold not undone") == 1


def test_at_its_start_it_undoes_what_the_process_before_has_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = Machine()
    machine.kernel.pod(uid(1), limit=60, containers=2)
    machine.kernel.pod(uid(2))
    before = machine.kernel.snapshot()
    machine.ask(Verb.THROTTLE, 1)
    machine.ask(Verb.FREEZE, 1)
    machine.ask(Verb.THROTTLE, 2)

    with caplog.at_level(logging.INFO):
        machine.start()

    assert machine.kernel.snapshot() == before
    assert machine.actuator.holds == ()
    assert {one.__dict__["cause"] for one in caplog.records if one.message == "pod released"} == {
        "restarted"
    }


def test_a_value_of_somebody_else_is_not_overwritten_by_the_undoing() -> None:
    machine = Machine()
    path = machine.kernel.pod(uid(1), containers=0)
    machine.ask(Verb.THROTTLE)

    machine.kernel.set_quota(path, "7000")
    machine.ask(Verb.UNTHROTTLE)

    assert machine.kernel.quota(path) == "7000"


@BOTH
def test_a_value_that_is_reset_is_set_again_and_the_new_one_restored(
    unified: bool,
) -> None:
    machine = Machine(kernel=FakeKernel(unified=unified))
    path = machine.kernel.pod(uid(1), containers=0)
    machine.ask(Verb.THROTTLE)

    machine.kernel.set_quota(path, "80000 100000" if unified else "80000")
    machine.actuator.look()
    held = machine.kernel.quota(path)
    answer = machine.ask(Verb.UNTHROTTLE)

    assert held.split()[0] == "10000"
    assert answer.overwritten == 1
    assert machine.kernel.quota(path).split()[0] == "80000"


def test_a_container_that_starts_after_a_reset_is_lowered_too_and_restored_after_its_pod() -> None:
    machine = Machine()
    path = machine.kernel.pod(uid(1), containers=0)
    machine.ask(Verb.THROTTLE)
    machine.kernel.set_quota(path, "80000")
    machine.kernel.container(path, 1, limit=50)
    inside = f"{path}/{'1' + CONTAINER[1:]}"

    machine.actuator.look()
    held = machine.kernel.quota(path), machine.kernel.quota(inside)
    answer = machine.ask(Verb.UNTHROTTLE)

    assert held == ("10000", "10000")
    assert (answer.result, answer.held) == (Result.DONE, ())
    assert (machine.kernel.quota(path), machine.kernel.quota(inside)) == ("80000", "50000")


def test_a_lower_value_of_somebody_else_stays() -> None:
    machine = Machine()
    path = machine.kernel.pod(uid(1), containers=0)
    machine.ask(Verb.THROTTLE)

    machine.kernel.set_quota(path, "3000")
    machine.actuator.look()

    assert machine.kernel.quota(path) == "3000"
    assert machine.ask(Verb.KEEP).overwritten == 0


def test_a_pod_that_is_thawed_by_somebody_else_is_frozen_again() -> None:
    machine = Machine()
    path = machine.kernel.pod(uid(1))
    machine.ask(Verb.FREEZE)

    machine.kernel.files[f"freezer/{path}"]["freezer.state"] = "THAWED"
    machine.actuator.look()

    assert machine.kernel.frozen(path)
    machine.ask(Verb.THAW)
    assert not machine.kernel.frozen(path)


def test_a_hold_that_is_overwritten_for_ever_is_given_up() -> None:
    machine = Machine()
    path = machine.kernel.pod(uid(1), containers=0)
    machine.ask(Verb.THROTTLE)

    for _ in range(31):
        machine.kernel.set_quota(path, "80000")
        machine.actuator.look()

    assert machine.actuator.holds == ()
    assert machine.kernel.quota(path) == "80000"


def test_a_container_that_starts_in_a_throttled_pod_is_throttled_with_it() -> None:
    machine = Machine()
    path = machine.kernel.pod(uid(1), containers=1)
    machine.ask(Verb.THROTTLE)

    machine.kernel.container(path, 1)
    machine.actuator.look()
    machine.ask(Verb.UNTHROTTLE)

    assert machine.kernel.quota(path) == "-1"


def test_v1_refuses_a_container_with_a_larger_limit_while_its_pod_is_throttled() -> None:
    machine = Machine()
    path = machine.kernel.pod(uid(1), containers=1)
    machine.ask(Verb.THROTTLE)

    with pytest.raises(OSError, match="Invalid argument"):
        machine.kernel.container(path, 1, limit=50)


def test_a_container_that_ends_meanwhile_is_no_obstacle() -> None:
    machine = Machine()
    path = machine.kernel.pod(uid(1), limit=60, containers=2)
    machine.ask(Verb.THROTTLE)

    for tree in machine.kernel.trees:
        del machine.kernel.files[f"{tree}/{path}/{'0' + CONTAINER[1:]}"]
    machine.actuator.look()

    assert machine.ask(Verb.UNTHROTTLE).result is Result.DONE
    assert machine.kernel.quota(path) == "60000"


def test_a_held_pod_that_is_gone_is_forgotten() -> None:
    machine = Machine()
    path = machine.kernel.pod(uid(1))
    machine.ask(Verb.THROTTLE)
    machine.ask(Verb.FREEZE)

    machine.kernel.remove(path.rpartition("/")[2])
    machine.actuator.look()

    assert machine.actuator.holds == ()
    assert uid(1) not in machine.store.texts


def test_nothing_is_held_for_ever() -> None:
    machine = Machine()
    path = machine.kernel.pod(uid(1))
    machine.ask(Verb.THROTTLE)

    machine.clock.pass_seconds(1201)
    machine.actuator.look()

    assert machine.kernel.quota(path) == "-1"
    assert machine.actuator.holds == ()


def test_a_dry_run_answers_as_if_and_writes_nothing() -> None:
    machine = Machine()
    path = machine.kernel.pod(uid(1), limit=60, containers=2)
    before = machine.kernel.snapshot()
    machine.start(dry_run=True)

    throttled = machine.ask(Verb.THROTTLE)
    machine.actuator.look()
    frozen = machine.ask(Verb.FREEZE)

    assert (throttled.result, frozen.result) == (Result.DRY_RUN, Result.DRY_RUN)
    assert frozen.held[0].steps == (Step.QUOTA, Step.FREEZE)
    assert frozen.overwritten == 0
    assert machine.kernel.snapshot() == before
    assert machine.ask(Verb.THAW).held[0].steps == (Step.QUOTA,)
    assert machine.ask(Verb.UNTHROTTLE).held == ()
    assert (machine.kernel.writes, machine.kernel.quota(path)) == ([], "60000")


def test_a_dry_run_undoes_what_was_really_held_before() -> None:
    machine = Machine()
    path = machine.kernel.pod(uid(1))
    machine.ask(Verb.THROTTLE)

    machine.start(dry_run=True)

    assert machine.kernel.quota(path) == "-1"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"uid":"x"}',
        entry("freezer/../../etc/cpu.shadow"),
        entry("freezer/kubepods/podx/freezer.state"),
    ],
)
def test_an_entry_that_cannot_be_read_is_told_and_writes_nothing(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine()
    machine.store.texts[uid(1)] = text

    machine.start()

    assert machine.kernel.writes == []
    assert "hold unreadable" in [one.message for one in caplog.records]


def test_a_value_that_does_not_stay_is_no_success() -> None:
    machine = Machine()
    path = machine.kernel.pod(uid(1))
    write = machine.kernel.write
    machine.kernel.write = lambda _path, _text: None  # type: ignore[method-assign]  # it takes it, and does nothing

    answer = machine.ask(Verb.THROTTLE)

    machine.kernel.write = write  # type: ignore[method-assign]  # as before
    assert answer.result is Result.FAILED
    assert "reads -1" in answer.text
    assert (answer.held, machine.kernel.quota(path)) == ((), "-1")


def test_a_pod_that_goes_while_it_is_acted_on_is_forgotten_at_the_next_look() -> None:
    machine = Machine()
    path = machine.kernel.pod(uid(1))

    def go(_path: str, _text: str) -> None:
        machine.kernel.remove(path.rpartition("/")[2])
        raise OSError(errno.ENODEV, "gone")

    machine.kernel.before = go
    assert machine.ask(Verb.FREEZE).result is Result.DONE
    machine.actuator.look()

    assert machine.actuator.holds == ()


def test_a_hold_that_cannot_be_kept_is_told_once_and_still_undone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = Machine()
    path = machine.kernel.pod(uid(1), containers=0)
    machine.ask(Verb.THROTTLE)
    machine.kernel.set_quota(path, "80000")

    def refuse(_path: str, _text: str) -> None:
        raise OSError(errno.EACCES, "no")

    machine.kernel.before = refuse
    for _ in range(3):
        machine.actuator.look()
    machine.kernel.before = lambda _path, _text: None

    assert [one.message for one in caplog.records].count("hold not kept") == 1
    assert machine.ask(Verb.UNTHROTTLE).held == ()
    assert machine.kernel.quota(path) == "80000"


def test_times_of_acts_that_cannot_be_read_are_told_and_count_as_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = Machine()
    machine.kernel.pod(uid(1))
    machine.store.texts["acts"] = "[]"

    machine.start()

    assert "acts unreadable" in [one.message for one in caplog.records]
    assert machine.ask(Verb.THROTTLE).result is Result.DONE


@pytest.mark.parametrize(
    "change",
    [{"most_held": 0}, {"acts_per_hour": 0}, {"cooldown": -1}, {"longest_hold": 0}],
)
def test_limits_that_cannot_be_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="the actuator"):
        replace(Machine().policy, **change)  # type: ignore[arg-type]  # wrong on purpose


def test_a_value_that_cannot_be_restored_holds_no_other_back() -> None:
    machine = Machine()
    path = machine.kernel.pod(uid(1), limit=60, containers=3)
    machine.ask(Verb.THROTTLE)
    inside = [f"{path}/{number}{CONTAINER[1:]}" for number in range(3)]

    def refuse(written: str, _text: str) -> None:
        if inside[1] in written:
            raise OSError(errno.EINVAL, "no")

    machine.kernel.before = refuse
    answer = machine.ask(Verb.UNTHROTTLE)
    quotas = [machine.kernel.quota(place) for place in (path, *inside)]
    machine.kernel.before = lambda _path, _text: None
    machine.actuator.look()

    assert answer.result is Result.FAILED
    assert quotas == ["60000", "20000", "10000", "20000"]
    assert machine.kernel.quota(inside[1]) == "20000"
    assert machine.actuator.holds == ()


def test_a_hold_that_the_next_process_could_not_read_is_not_begun() -> None:
    machine = Machine()
    path = machine.kernel.pod(uid(1), limit=60, containers=1)
    inside = f"{path}/0{CONTAINER[1:]}"
    for depth in range(12):
        inside += "/" + chr(ord("a") + depth) * 250
        machine.kernel._make(inside)  # of a shape that no runtime makes
    for number in range(450):
        machine.kernel._make(f"{inside}/{number:0250}", quota=20_000)  # as above

    answer = machine.ask(Verb.THROTTLE)

    assert (answer.result, answer.held) == (Result.FAILED, ())
    assert f"hold of {uid(1)}" in answer.text
    assert machine.kernel.writes == []
    assert uid(1) not in machine.store.texts


def test_what_the_disk_refuses_does_not_use_up_the_acts_of_the_hour() -> None:
    machine = Machine()
    machine.kernel.pod(uid(1))

    def full(_key: str) -> None:
        raise UnavailableError("disk full")

    machine.store.before = full
    failed = {machine.ask(Verb.THROTTLE).result for _ in range(20)}
    machine.store.before = lambda _key: None

    assert failed == {Result.FAILED}
    assert machine.ask(Verb.THROTTLE).result is Result.DONE
