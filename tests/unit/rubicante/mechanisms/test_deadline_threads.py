"""The DEADLINE back end on a kernel in memory."""

import ctypes
import errno
import logging
import os
from fractions import Fraction
from pathlib import Path

import pytest

from daemons.rubicante.kernel.sched_attr import (
    LEAST,
    RESET_ON_FORK,
    SCHED_DEADLINE,
    RawAttr,
    SchedAttr,
    drop,
)
from daemons.rubicante.mechanisms.back_end import ContainerCgroup
from daemons.rubicante.mechanisms.deadline.bandwidth_leaks import BandwidthLeaks
from k40s.cpu.model import Domain
from k40s.errors import KernelError
from k40s.units import NS_PER_MS, Nanoseconds
from tests.fakes.rubicante.deadline_scene import OTHER, UID, Scene, held
from tests.fakes.rubicante.domains import PROC


@pytest.fixture
def scene(memory: Path) -> Scene:
    return Scene(memory)


def test_the_kernels_structure_has_its_size() -> None:
    assert ctypes.sizeof(RawAttr) == 56


def test_a_thread_is_shrunk_before_it_is_made_ordinary(scene: Scene) -> None:
    tid = scene.spawn(50)
    scene.back_end.know([held()])
    assert scene.enforce(tid, held())
    assert scene.kernel.total(0) == pytest.approx(Fraction(1, 10), abs=1e-5)

    assert scene.back_end.restore(tid, held())

    assert scene.kernel.lost == 0
    assert scene.kernel.get(tid).policy == os.SCHED_OTHER


def test_one_that_could_run_is_not_shrunk_or_the_kernel_would_not_let_it_run_again(
    scene: Scene,
) -> None:
    tid = scene.spawn(50)
    scene.back_end.know([held()])
    assert scene.enforce(tid, held())
    scene.kernel.refuse["set"] = [AssertionError("shrunk")]  # type: ignore[list-item]  # a trap

    assert drop(scene.kernel, tid, asleep=False)

    assert scene.kernel.get(tid).policy == os.SCHED_OTHER


def test_a_thread_that_cannot_be_shrunk_is_made_ordinary_all_the_same(scene: Scene) -> None:
    tid = scene.spawn(50)
    scene.kernel.set(tid, LEAST)
    scene.kernel.refuse["set"] = [OSError(errno.EINVAL, "x"), OSError(errno.EPERM, "y")]

    assert drop(scene.kernel, tid, asleep=True)

    assert scene.kernel.get(tid).policy == os.SCHED_OTHER


def test_another_refusal_to_shrink_is_told(scene: Scene) -> None:
    tid = scene.spawn(50)
    scene.back_end.know([held()])
    assert scene.enforce(tid, held())
    scene.kernel.refuse["set"] = [OSError(errno.E2BIG, "too big")]

    with pytest.raises(KernelError, match="too big"):
        scene.back_end.restore(tid, held())


def test_children_start_as_ordinary_threads(scene: Scene) -> None:
    tid = scene.spawn(50)
    scene.back_end.know([held(3, 10)])

    assert scene.enforce(tid, held(3, 10))

    kept = scene.kernel.get(tid)
    assert (kept.policy, kept.flags) == (SCHED_DEADLINE, RESET_ON_FORK)
    assert (kept.runtime, kept.deadline, kept.period) == (3_000_000, 10_000_000, 10_000_000)


def test_what_is_as_it_should_be_is_not_written(scene: Scene) -> None:
    tid = scene.spawn(50)
    scene.back_end.know([held()])
    assert scene.enforce(tid, held())
    scene.kernel.refuse["set"] = [AssertionError("written")]  # type: ignore[list-item]  # a trap

    assert scene.enforce(tid, held())


def test_an_affinity_is_widened_in_a_shared_domain_and_restored(scene: Scene) -> None:
    tid = scene.spawn(50)
    scene.kernel.threads[tid].affinity = frozenset({1})
    scene.back_end.know([held()])

    assert scene.enforce(tid, held())
    assert scene.kernel.affinity(tid) == {0, 1}

    assert scene.back_end.restore(tid, held())
    assert scene.kernel.affinity(tid) == {1}


def test_a_new_process_finds_who_is_held_to_what(scene: Scene) -> None:
    first, second = scene.spawn(50, name="ctl"), scene.spawn(51, name="ctl1")
    book = [held(), held(20, 100, index=1)]
    scene.back_end.know(book)
    assert scene.enforce(first, book[0])
    assert scene.enforce(second, book[1])

    again = scene.start()
    again.know(book)

    assert [again.members(one) for one in book] == [(first,), (second,)]
    assert again.release(UID)
    assert {scene.kernel.get(tid).policy for tid in (first, second)} == {os.SCHED_OTHER}


def test_other_pods_deadline_threads_are_left_alone(scene: Scene) -> None:
    own, foreign = scene.spawn(50), scene.spawn(51, OTHER)
    attr = SchedAttr(
        policy=SCHED_DEADLINE,
        runtime=Nanoseconds(NS_PER_MS),
        deadline=Nanoseconds(100 * NS_PER_MS),
        period=Nanoseconds(100 * NS_PER_MS),
    )
    scene.kernel.set(foreign, attr)
    scene.back_end.know([held()])
    assert scene.enforce(own, held())

    assert scene.back_end.members(held()) == (own,)
    assert scene.back_end.release(UID)
    assert scene.back_end.sweep() == ()
    assert scene.kernel.get(foreign) == attr


def test_dead_threads_are_no_error(scene: Scene) -> None:
    tid = scene.spawn(50)
    scene.back_end.know([held()])
    assert scene.enforce(tid, held())
    found = scene.threads.find(tid)
    assert found is not None
    del scene.kernel.threads[tid]

    assert scene.back_end.restore(tid, held())
    assert scene.back_end.release(UID)
    container = scene.make_pod(UID)
    container_cgroup = ContainerCgroup(pod=container.parent, cgroup=container)
    assert not scene.back_end.enforce(found, held(), position=0, container=container_cgroup)


def test_a_claim_is_refused_where_there_is_no_room(scene: Scene) -> None:
    for tid in (60, 61):
        scene.kernel.set(scene.spawn(tid, OTHER), _tenths(9))
    scene.back_end.know([held()])

    with pytest.raises(KernelError, match="no room"):
        scene.back_end.claim([held()])

    assert scene.now >= 0.5
    assert scene.rebuilds == 1


def test_a_claim_waits_for_threads_that_have_just_gone(scene: Scene) -> None:
    busy = OSError(errno.EBUSY, "busy")
    scene.back_end.know([held()])
    scene.back_end.claim([])
    scene.kernel.refuse["set"] = [busy, busy, busy]

    scene.back_end.claim([held()])

    assert scene.now == pytest.approx(0.03)
    assert scene.rebuilds == 0


def test_bandwidth_that_the_kernel_lost_count_of_is_counted_afresh(scene: Scene) -> None:
    scene.kernel.lost = Fraction(18, 10)
    tid = scene.spawn(50)
    scene.back_end.know([held()])

    assert scene.enforce(tid, held())

    assert scene.rebuilds == 1


def test_what_has_threads_already_is_not_asked_for_twice(scene: Scene) -> None:
    tid = scene.spawn(50)
    scene.back_end.know([held(90, 100)])
    assert scene.enforce(tid, held(90, 100))
    scene.kernel.set(scene.spawn(61, OTHER), _tenths(9))

    scene.back_end.claim([held(90, 100)])


def test_a_lost_count_is_told_once(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    debug = Path("/debug/sched")
    text = "dl_rq[{}]:\n .dl_bw->bw : 996147\n .dl_bw->total_bw : {}\n"
    scene.kernel.files[debug / "debug"] = text.format(0, 314573) + text.format(1, 314573)
    scene.kernel.folders |= {debug, debug / "fair_server", PROC}
    clock = iter(range(0, 1000, 20))
    watch = BandwidthLeaks(
        system=scene.kernel,
        attributes=scene.kernel,
        threads=scene.threads,
        proc=PROC,
        debug=debug,
        cores={0, 1},
        domain=Domain.SHARED,
        rebuild=None,
        clock=lambda: next(clock),
    )

    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            watch.look()

    assert [record.message for record in caplog.records] == [
        "DEADLINE bandwidth leaked in the kernel"
    ]


def _tenths(tenths: int) -> SchedAttr:
    period = Nanoseconds(10 * NS_PER_MS)
    runtime = Nanoseconds(tenths * NS_PER_MS)
    return SchedAttr(policy=SCHED_DEADLINE, runtime=runtime, deadline=period, period=period)


def test_a_thread_in_the_middle_of_a_job_is_set_when_it_sleeps(scene: Scene) -> None:
    tid = scene.spawn(7)
    scene.kernel.threads[tid].state = "R"

    early = scene.enforce(tid, held())
    scene.kernel.threads[tid].state = "S"

    assert not early
    assert scene.enforce(tid, held())
    assert scene.kernel.threads[tid].attr.policy == SCHED_DEADLINE


def test_a_thread_that_never_sleeps_is_set_all_the_same(scene: Scene) -> None:
    tid = scene.spawn(7)
    scene.kernel.threads[tid].state = "R"

    early = scene.enforce(tid, held())
    scene.now += 1.0

    assert not early
    assert scene.enforce(tid, held())


def test_a_thread_that_was_set_in_a_job_is_set_anew_when_it_sleeps(scene: Scene) -> None:
    tid = scene.spawn(7)
    scene.kernel.threads[tid].state = "R"
    scene.enforce(tid, held())
    scene.now += 1.0
    scene.enforce(tid, held())
    before = len(scene.kernel.asked)

    scene.enforce(tid, held())
    running = len(scene.kernel.asked)
    scene.kernel.threads[tid].state = "S"
    scene.enforce(tid, held())
    anew = len(scene.kernel.asked)
    scene.enforce(tid, held())

    assert running == before
    assert anew > before
    assert len(scene.kernel.asked) == anew
    assert scene.kernel.threads[tid].attr.policy == SCHED_DEADLINE


def test_a_running_thread_that_the_kernel_refuses_raises_a_doubt_of_the_offer(scene: Scene) -> None:
    tid = scene.spawn(50)
    scene.back_end.know([held()])
    scene.kernel.refuse["set"] = [PermissionError(errno.EPERM, "no")] * 2

    with pytest.raises(KernelError, match="EPERM"):
        scene.enforce(tid, held())

    assert scene.invalidations == 1
