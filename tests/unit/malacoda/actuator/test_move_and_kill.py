"""Moving a pod off some CPUs, and killing it: what is done, refused, undone and counted."""

import errno
import os
from dataclasses import replace

import pytest

from daemons.malacoda.actuator.protocol import Refusal, Request, Result, Verb
from k40s.assurance.response.acts import Step
from k40s.errors import UnavailableError
from k40s.units import format_cpu_list, parse_cpu_list
from tests.fakes.malacoda.actuator import Machine
from tests.fakes.malacoda.kernel import CONTAINER, FakeKernel, uid

BOTH = pytest.mark.parametrize("unified", [False, True], ids=["v1", "v2"])


@BOTH
def test_a_moved_pod_keeps_its_other_cpus_and_has_all_of_them_back(unified: bool) -> None:
    machine = Machine(kernel=FakeKernel(unified=unified))
    pod = machine.kernel.pod(uid(1))
    before = machine.kernel.snapshot()

    answer = machine.ask(Verb.MOVE, off=(1, 7))

    assert (answer.result, answer.held[0].steps) == (Result.DONE, (Step.MOVE,))
    assert machine.kernel.cpus(pod) == "0,2"
    assert machine.kernel.cpus(f"{pod}/0{CONTAINER[1:]}") == "0,2"
    machine.ask(Verb.MOVE_BACK)
    assert machine.kernel.snapshot() == before


@BOTH
def test_a_pod_is_never_given_a_cpu_that_it_did_not_have(unified: bool) -> None:
    machine = Machine(kernel=FakeKernel(unified=unified))
    pod = machine.kernel.pod(uid(1))

    refused = machine.ask(Verb.MOVE, off=(0, 1, 2))
    away = machine.ask(Verb.MOVE, off=(3,))

    assert [refused.reason, away.reason] == [Refusal.NO_OTHER_CPU, Refusal.AWAY]
    assert machine.kernel.cpus(pod) == "0-2"
    assert machine.kernel.writes == []


def test_v1_moves_no_pod_of_which_a_container_has_no_other_cpu() -> None:
    machine = Machine()
    pod = machine.kernel.pod(uid(1), containers=2)
    machine.kernel.files[f"cpuset/{pod}/1{CONTAINER[1:]}"]["cpuset.cpus"] = "1"

    assert machine.ask(Verb.MOVE, off=(1,)).reason == Refusal.NO_OTHER_CPU
    assert machine.kernel.writes == []


@pytest.mark.parametrize("verb", [Verb.MOVE, Verb.KILL])
@pytest.mark.parametrize("known", [True, False])
def test_a_pod_with_real_time_tasks_is_neither_moved_nor_killed(verb: Verb, known: bool) -> None:
    real_time = frozenset({uid(1)}) if known else None
    machine = Machine(kernel=FakeKernel(unified=True), real_time=real_time)
    machine.kernel.pod(uid(1))
    machine.ask(Verb.THROTTLE)

    assert machine.ask(verb).reason == Refusal.REAL_TIME
    assert machine.kernel.killed == []


def test_without_cpusets_there_is_nothing_to_move_by() -> None:
    machine = Machine()
    pod = machine.kernel.pod(uid(1))
    machine.kernel.files[f"cpuset/{pod}"].clear()

    assert machine.ask(Verb.MOVE).reason == Refusal.NO_CONTROLLER


def test_what_others_put_back_is_narrowed_again_and_that_is_restored() -> None:
    machine = Machine()
    pod = machine.kernel.pod(uid(1))
    machine.ask(Verb.MOVE, off=(1,))
    for path in (f"cpuset/{pod}", f"cpuset/{pod}/0{CONTAINER[1:]}"):
        machine.kernel.files[path]["cpuset.cpus"] = "1-2"

    machine.actuator.look()

    assert machine.kernel.cpus(pod) == "2"
    machine.ask(Verb.MOVE_BACK)
    assert machine.kernel.cpus(pod) == "1-2"


def test_a_moved_pod_is_moved_back_by_the_next_process() -> None:
    machine = Machine()
    pod = machine.kernel.pod(uid(1))
    machine.ask(Verb.MOVE, off=(0,))

    machine.start()

    assert machine.kernel.cpus(pod) == "0-2"


def test_a_throttled_pod_is_killed_as_a_whole_and_stays_throttled() -> None:
    machine = Machine(kernel=FakeKernel(unified=True))
    pod = machine.kernel.pod(uid(1))
    machine.ask(Verb.THROTTLE)

    answer = machine.ask(Verb.KILL)

    assert answer.result is Result.DONE
    assert machine.kernel.killed == [pod]
    assert answer.held[0].steps == (Step.QUOTA,)


@pytest.mark.parametrize(
    ("unified", "first", "reason"),
    [
        (True, Verb.KEEP, Refusal.NOT_HELD),
        (False, Verb.THROTTLE, Refusal.NO_CONTROLLER),
    ],
)
def test_nobody_is_killed_at_first_sight_nor_under_v1(
    unified: bool, first: Verb, reason: Refusal
) -> None:
    machine = Machine(kernel=FakeKernel(unified=unified))
    machine.kernel.pod(uid(1))
    machine.ask(first)

    assert machine.ask(Verb.KILL).reason == reason
    assert machine.kernel.killed == []


def test_a_kernel_without_that_file_kills_nobody() -> None:
    machine = Machine(kernel=FakeKernel(unified=True))
    del machine.kernel.files[machine.kernel.pod(uid(1))]["cgroup.kill"]
    machine.ask(Verb.THROTTLE)

    assert machine.ask(Verb.KILL).reason == Refusal.NO_CONTROLLER


def test_no_hour_has_more_kills_than_the_limit_though_the_actuator_is_killed_meanwhile() -> None:
    machine = Machine(kernel=FakeKernel(unified=True))
    machine.kernel.pod(uid(1))
    reasons = []
    for _ in range(3):
        machine.ask(Verb.THROTTLE)
        reasons.append(machine.ask(Verb.KILL).reason)
        machine.start()

    assert reasons == ["", "", Refusal.KILLS]
    assert len(machine.kernel.killed) == 2


def test_a_kill_counts_before_it_is_done() -> None:
    machine = Machine(kernel=FakeKernel(unified=True))
    machine.kernel.pod(uid(1))
    machine.ask(Verb.THROTTLE)

    def refuse(path: str, _text: str) -> None:
        assert "kills" in machine.store.texts
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    machine.kernel.before = refuse

    assert machine.ask(Verb.KILL).result is Result.FAILED
    assert machine.kernel.killed == []


def test_a_dry_run_moves_and_kills_nobody() -> None:
    machine = Machine(kernel=FakeKernel(unified=True))
    pod = machine.kernel.pod(uid(1))
    machine.start(dry_run=True)

    answers = [machine.ask(verb).result for verb in (Verb.THROTTLE, Verb.MOVE, Verb.KILL)]

    assert answers == [Result.DRY_RUN] * 3
    assert machine.kernel.cpus(pod) == "0-2"
    assert machine.kernel.killed == []


def test_what_the_gate_does_not_allow_is_neither_moved_nor_killed() -> None:
    machine = Machine(kernel=FakeKernel(unified=True))
    machine.policy = replace(machine.policy, allowed=frozenset({Step.QUOTA}))
    machine.start()
    machine.kernel.pod(uid(1))
    machine.ask(Verb.THROTTLE)

    reasons = [machine.ask(verb).reason for verb in (Verb.MOVE, Verb.KILL)]

    assert reasons == [Refusal.NOT_ALLOWED] * 2


def test_a_container_that_starts_while_its_pod_is_moved_has_all_cpus_back_as_well() -> None:
    """A runtime copies a v1 cpuset from the parent: nobody else would ever widen it."""
    machine = Machine()
    pod = machine.kernel.pod(uid(1))
    machine.ask(Verb.MOVE, off=(1,))
    machine.kernel.container(pod, 1)
    machine.kernel.files[f"cpuset/{pod}/1{CONTAINER[1:]}"]["cpuset.cpus"] = "0,2"

    machine.ask(Verb.MOVE_BACK)

    assert machine.kernel.cpus(f"{pod}/1{CONTAINER[1:]}") == "0-2"


def test_a_container_that_had_no_other_cpus_before_keeps_its_own() -> None:
    machine = Machine()
    pod = machine.kernel.pod(uid(1), containers=2)
    own = f"cpuset/{pod}/1{CONTAINER[1:]}"
    machine.kernel.files[own]["cpuset.cpus"] = "0,2"
    machine.ask(Verb.MOVE, off=(1,))
    machine.actuator.look()

    machine.ask(Verb.MOVE_BACK)

    assert machine.kernel.files[own]["cpuset.cpus"] == "0,2"


def test_a_cpu_that_goes_offline_meanwhile_keeps_no_pod_narrow() -> None:
    """v1 takes such a CPU out of every cpuset, and refuses the value of before."""
    machine = Machine()
    pod = machine.kernel.pod(uid(1))
    machine.ask(Verb.MOVE, off=(1,))
    for files in machine.kernel.files.values():
        if "cpuset.cpus" in files:
            left = set(parse_cpu_list(files["cpuset.cpus"])) - {2}
            files["cpuset.cpus"] = format_cpu_list(left)
    assert machine.kernel.cpus(pod) == "0"

    answer = machine.ask(Verb.MOVE_BACK)

    assert (answer.result, answer.held) == (Result.DONE, ())
    assert machine.kernel.cpus(pod) == "0-1"
    assert machine.kernel.cpus(f"{pod}/0{CONTAINER[1:]}") == "0-1"


def test_what_stood_there_first_is_restored_though_the_parents_cpus_change_meanwhile() -> None:
    machine = Machine(kernel=FakeKernel(unified=True))
    pod = machine.kernel.pod(uid(1))
    machine.kernel.write(f"{pod}/cpuset.cpus", "0-2")
    machine.ask(Verb.MOVE, off=(1,))
    machine.kernel.files[pod]["cpuset.cpus.effective"] = "1,3"  # none of its own is left

    machine.actuator.look()
    machine.ask(Verb.MOVE_BACK)

    assert machine.kernel.files[pod]["cpuset.cpus"] == "0-2"


def test_a_disk_that_fails_counts_as_no_kill() -> None:
    machine = Machine(kernel=FakeKernel(unified=True))
    pod = machine.kernel.pod(uid(1))
    machine.ask(Verb.THROTTLE)

    def refuse(_key: str) -> None:
        raise UnavailableError("disk full")

    machine.store.before = refuse
    assert [machine.ask(Verb.KILL).result for _ in range(3)] == [Result.FAILED] * 3
    machine.store.before = lambda _key: None

    assert machine.ask(Verb.KILL).result is Result.DONE
    assert machine.kernel.killed == [pod]


def test_a_move_may_follow_its_own_throttle_at_once_but_no_other_pods() -> None:
    machine = Machine()
    for number in (1, 2):
        machine.kernel.pod(uid(number))
    machine.ask(Verb.THROTTLE)
    request = Request(verb=Verb.MOVE, uid=uid(1), pod="default/a", off=(1,))

    reasons = [
        machine.actuator.answer(one).reason for one in (request, replace(request, uid=uid(2)))
    ]

    assert reasons == ["", Refusal.COOLDOWN]


def test_a_hold_of_a_version_without_moves_is_undone() -> None:
    machine = Machine()
    pod = machine.kernel.pod(uid(1))
    machine.ask(Verb.THROTTLE)
    assert "off" not in machine.store.texts[uid(1)]

    machine.start()

    assert machine.kernel.quota(pod) == "-1"


def test_under_v2_a_container_with_cpus_of_its_own_keeps_them() -> None:
    machine = Machine(kernel=FakeKernel(unified=True))
    pod = machine.kernel.pod(uid(1))
    own = f"{pod}/0{CONTAINER[1:]}/cpuset.cpus"
    machine.ask(Verb.MOVE, off=(1,))
    machine.kernel.write(own, "0,2")

    machine.ask(Verb.MOVE_BACK)

    assert machine.kernel.read(own) == "0,2"


def test_where_no_kill_is_allowed_in_an_hour_there_is_none() -> None:
    machine = Machine(kernel=FakeKernel(unified=True))
    machine.policy = replace(machine.policy, kills_per_hour=0)
    machine.start()
    machine.kernel.pod(uid(1))
    machine.ask(Verb.THROTTLE)

    assert machine.ask(Verb.KILL).reason == Refusal.KILLS
