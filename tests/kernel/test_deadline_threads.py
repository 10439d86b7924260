"""SCHED_DEADLINE in the root domain of all CPUs, as a node without partitions has it."""

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from daemons.rubicante.kernel.sched_attr import SCHED_DEADLINE, SchedAttr, drop
from daemons.rubicante.kernel.system import LinuxSystem
from daemons.rubicante.kernel.threads import Threads
from daemons.rubicante.mechanisms.back_end import Held
from daemons.rubicante.mechanisms.deadline.bandwidth_leaks import BandwidthLeaks
from daemons.rubicante.mechanisms.deadline.recount import rebuild_domains
from k40s.cpu.model import Domain
from k40s.errors import KernelError
from tests.kernel.conftest import Hog, eventually
from tests.kernel.deadline_scene import (
    ATTRIBUTES,
    CPUSETS,
    MS,
    PREFIX,
    PROC,
    Machine,
    alone,
    attr,
    debugfs,
    held,
    recount,
    start_machine,
)
from tests.kernel.scene import make_container, policy
from tests.kernel.shares import keeps_to, measured_shares

ALL = set(range(os.cpu_count() or 1))
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
StartHog = Callable[..., Hog]


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    with alone():
        yield


@pytest.fixture
def machine(undo: ExitStack, kubepods: Path, tmp_path: Path) -> Machine:
    return start_machine(undo, kubepods, tmp_path / "memory.json", cores=ALL, partitioned=False)


@pytest.fixture
def container(kubepods: Path) -> Path:
    return make_container(kubepods)


def is_deadline(hog: Hog) -> bool:
    return policy(hog.tid) & 0xFFFF == SCHED_DEADLINE


def watch_in(debug: Path) -> BandwidthLeaks:
    return BandwidthLeaks(
        system=LinuxSystem(),
        attributes=ATTRIBUTES,
        threads=Threads(system=LinuxSystem(), proc=PROC),
        proc=PROC,
        debug=debug,
        cores=ALL,
        domain=Domain.SHARED,
        rebuild=None,
        clock=time.monotonic,
    )


def ran_in(hog: Hog, seconds: float) -> float:
    """CPU time of the thread within so many seconds."""
    before = cpu_seconds(hog.tid)
    time.sleep(seconds)
    return cpu_seconds(hog.tid) - before


def cpu_seconds(tid: int) -> float:
    return int(Path(f"/proc/{tid}/schedstat").read_text().split()[0]) / 1e9


def is_granted(hog: Hog, wanted: SchedAttr) -> bool:
    """What a dead thread had may count until a timer has run on its CPU."""
    try:
        ATTRIBUTES.set(hog.tid, wanted)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def is_claimed(machine: Machine, reservation: Held) -> bool:
    try:
        machine.back_end.claim([reservation])
    except KernelError:
        return False
    return True


def room(start_hog: StartHog, *shares_us: int) -> list[int]:
    """Errnos of sleeping threads that each ask for so many µs in 10 ms; 0 is granted."""
    answers: list[int] = []
    hogs = [start_hog("idle") for _ in shares_us]
    for hog, share in zip(hogs, shares_us, strict=True):
        try:
            ATTRIBUTES.set(hog.tid, attr(share, 10_000))
        except OSError as error:
            answers.append(error.errno or -1)
        else:
            answers.append(0)
    for hog in hogs:
        drop(ATTRIBUTES, hog.tid, asleep=True)
        hog.end()
    return answers


def test_offers_one_domain_of_all_cpus_where_nothing_may_be_partitioned(machine: Machine) -> None:
    offer = machine.support.offer

    assert offer is not None
    assert (offer.domain, offer.cpus) == (Domain.SHARED, len(ALL))
    assert offer.capacity == pytest.approx(0.9)


def test_refuses_a_node_whose_cores_are_a_part_of_the_domain(
    undo: ExitStack, kubepods: Path, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match="the root domain has CPUs besides"):
        start_machine(undo, kubepods, tmp_path / "m.json", cores={1}, partitioned=False)


def _lose_count(watch: BandwidthLeaks, start_hog: StartHog) -> None:
    """Cut domains while a thread's bandwidth is charged after its end, until the sum is wrong."""
    for _ in range(20):
        hog = start_hog("thread", "ctl")
        ATTRIBUTES.set(hog.tid, attr(10_000, 100_000))
        ATTRIBUTES.set(hog.tid, attr(40_000, 50_000))
        hog.end()
        rebuild_domains(LinuxSystem(), CPUSETS, PREFIX)
        time.sleep(0.15)
        if watch.is_negative():
            return
    pytest.skip("this kernel has not lost count")


def test_a_sum_below_nothing_is_noticed_and_repaired(
    machine: Machine, start_hog: StartHog, container: Path, tmp_path: Path, undo: ExitStack
) -> None:
    watch = watch_in(undo.enter_context(debugfs(tmp_path / "debug")))
    _lose_count(watch, start_hog)
    hog = start_hog("idle", cgroup=container)
    with pytest.raises(OSError, match="busy"):
        ATTRIBUTES.set(hog.tid, attr(10, 10_000))
    machine.back_end.know([held(10, 100)])

    assert machine.enforce(hog, held(10, 100))

    assert not watch.is_negative()


def test_a_process_that_starts_at_a_sum_below_nothing_finds_the_offer_all_the_same(
    start_hog: StartHog, kubepods: Path, tmp_path: Path, undo: ExitStack
) -> None:
    watch = watch_in(undo.enter_context(debugfs(tmp_path / "debug")))
    _lose_count(watch, start_hog)

    machine = start_machine(undo, kubepods, tmp_path / "m.json", cores=set(ALL), partitioned=False)

    assert machine.support.problems == ()
    assert not watch.is_negative()


@pytest.mark.parametrize(("budget", "period"), [(30, 100), (1.9, 10)])
def test_a_hog_gets_its_share(
    machine: Machine, start_hog: StartHog, container: Path, budget: float, period: int
) -> None:
    hog = start_hog("thread", "ctl", cgroup=container)
    reservation = held(budget, period)
    machine.back_end.know([reservation])

    assert machine.enforce(hog, reservation)

    found = measured_shares(hog.tid, expected=[budget / period])
    assert keeps_to(found, [budget / period]), found
    assert policy(hog.pid) == os.SCHED_OTHER


def test_a_thread_that_was_restored_in_the_middle_of_its_debt_runs_when_it_is_held_again(
    machine: Machine, start_hog: StartHog, container: Path
) -> None:
    hog = start_hog("thread", "ctl", cgroup=container)
    reservation = held(1, 20)
    machine.back_end.know([reservation])
    for _ in range(3):
        assert machine.enforce(hog, reservation)
        eventually(lambda: ran_in(hog, 0.2) > 0)
        assert machine.back_end.restore(hog.tid, reservation)

    assert machine.enforce(hog, reservation)

    assert ran_in(hog, 1.0) > 0.02


def test_a_thread_that_the_kernel_keeps_from_its_cpu_is_found_and_runs_again(
    machine: Machine, start_hog: StartHog, container: Path, undo: ExitStack
) -> None:
    hog = start_hog("thread", "ctl", cgroup=container)
    undo.callback(os.sched_setscheduler, hog.tid, os.SCHED_OTHER, os.sched_param(0))
    reservation = held(1, 20)
    machine.back_end.know([reservation])
    assert machine.enforce(hog, reservation)
    time.sleep(0.2)
    drop(ATTRIBUTES, hog.tid, asleep=True)  # it is not, and its budget is used up
    time.sleep(0.2)
    ATTRIBUTES.set(hog.tid, attr(1000, 20_000))
    if ran_in(hog, 0.5) > 0:
        pytest.skip("this kernel lets such a thread run")

    eventually(lambda: machine.look(hog, reservation) and ran_in(hog, 0.1) > 0)

    assert is_deadline(hog)


def test_the_kernel_admits_nine_tenths_of_each_cpu_and_no_more(start_hog: StartHog) -> None:
    full = [9000] * len(ALL)

    # what a thread had, counts until a timer has run on its CPU: soon, but when it has run
    eventually(lambda: room(start_hog, *full) == [0] * len(ALL))
    beyond = [*[0] * (len(ALL) - 1), errno.EBUSY]
    eventually(lambda: room(start_hog, *full[1:], 9001) == beyond)


def test_sleeping_threads_leave_no_bandwidth_behind(
    machine: Machine, start_hog: StartHog, container: Path
) -> None:
    for _ in range(4):
        hog = start_hog("idle", cgroup=container)
        reservation = held(50, 100)
        machine.back_end.know([reservation])
        assert machine.enforce(hog, reservation)

        assert machine.back_end.release(reservation.name.pod_uid)
        assert policy(hog.tid) == os.SCHED_OTHER

    eventually(lambda: room(start_hog, *[9000] * len(ALL)) == [0] * len(ALL))


def test_bandwidth_that_others_leave_behind_is_noticed(
    start_hog: StartHog, tmp_path: Path, undo: ExitStack
) -> None:
    watch = watch_in(undo.enter_context(debugfs(tmp_path / "debug")))
    undo.callback(recount)
    hog = start_hog("idle")
    ATTRIBUTES.set(hog.tid, attr(500, 10_000))
    eventually(lambda: watch.leaked() == 0)

    ATTRIBUTES.make_ordinary(hog.tid)

    eventually(lambda: float(watch.leaked()) == pytest.approx(0.05, abs=0.001))
    recount()
    eventually(lambda: watch.leaked() == 0)


def test_a_child_is_an_ordinary_thread(
    machine: Machine, start_hog: StartHog, container: Path, undo: ExitStack
) -> None:
    hog = start_hog("fork", "ctl", cgroup=container)
    reservation = held(30, 100)
    machine.back_end.know([reservation])
    assert machine.enforce(hog, reservation)

    child = int(hog.tell("fork"))

    undo.callback(os.kill, child, signal.SIGKILL)
    assert policy(child) == os.SCHED_OTHER
    assert is_deadline(hog)


def test_a_narrowed_affinity_is_widened_and_comes_back(
    machine: Machine, start_hog: StartHog, container: Path
) -> None:
    hog = start_hog("idle", cgroup=container)
    os.sched_setaffinity(hog.tid, {1})
    reservation = held(10, 100)
    machine.back_end.know([reservation])

    assert machine.enforce(hog, reservation)

    assert os.sched_getaffinity(hog.tid) == ALL
    assert machine.back_end.restore(hog.tid, reservation)
    assert os.sched_getaffinity(hog.tid) == {1}
    assert policy(hog.tid) == os.SCHED_OTHER


def test_a_nice_value_survives(machine: Machine, start_hog: StartHog, container: Path) -> None:
    hog = start_hog("idle", cgroup=container)
    os.setpriority(os.PRIO_PROCESS, hog.tid, 5)
    reservation = held(10, 100)
    machine.back_end.know([reservation])
    assert machine.enforce(hog, reservation)

    assert machine.back_end.restore(hog.tid, reservation)

    assert os.getpriority(os.PRIO_PROCESS, hog.tid) == 5


def test_another_process_knows_the_threads_again(
    machine: Machine, start_hog: StartHog, container: Path, undo: ExitStack, tmp_path: Path
) -> None:
    hog = start_hog("thread", "ctl", cgroup=container)
    reservation = held(20, 100)
    machine.back_end.know([reservation])
    assert machine.enforce(hog, reservation)

    again = start_machine(
        undo, machine.kubepods, tmp_path / "memory.json", cores=ALL, partitioned=False
    )
    again.back_end.know([reservation])

    assert again.back_end.members(reservation) == (hog.tid,)
    assert again.back_end.release(reservation.name.pod_uid)
    assert not is_deadline(hog)


def test_parameters_change_under_a_running_thread(
    machine: Machine, start_hog: StartHog, container: Path
) -> None:
    hog = start_hog("thread", "ctl", cgroup=container)
    machine.back_end.know([held(20, 100)])
    assert machine.enforce(hog, held(20, 100))

    machine.back_end.know([held(30, 50)])
    assert machine.enforce(hog, held(30, 50))

    kept = ATTRIBUTES.get(hog.tid)
    assert (kept.runtime, kept.period) == (30 * MS, 50 * MS)


def test_a_claim_fails_while_the_domain_is_full(machine: Machine, start_hog: StartHog) -> None:
    foreign = [start_hog("idle") for _ in ALL]
    for hog in foreign:
        eventually(lambda h=hog: is_granted(h, attr(9000, 10_000)))  # type: ignore[misc]  # bound
    reservation = held(10, 100)
    machine.back_end.know([reservation])

    with pytest.raises(KernelError, match="no room"):
        machine.back_end.claim([reservation])

    for hog in foreign:
        drop(ATTRIBUTES, hog.tid, asleep=True)
    eventually(lambda: is_claimed(machine, reservation))


def test_a_dead_thread_is_no_error(machine: Machine, start_hog: StartHog, container: Path) -> None:
    hog = start_hog("idle", cgroup=container)
    reservation = held(10, 100)
    machine.back_end.know([reservation])
    found = machine.threads.find(hog.tid)
    assert found is not None
    assert machine.enforce(hog, reservation)

    hog.end()

    eventually(lambda: machine.threads.find(hog.tid) is None)
    assert machine.back_end.restore(hog.tid, reservation)
    machine.back_end.know([reservation])
    assert machine.back_end.members(reservation) == ()
    assert machine.back_end.release(reservation.name.pod_uid)
