"""SCHED_DEADLINE with each core a root domain of its own, by cpusets of cgroup v1.

Load balancing of the whole machine is off meanwhile, and is put back.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from daemons.rubicante.kernel.sched_attr import SCHED_DEADLINE, drop
from daemons.rubicante.mechanisms.back_end import MechanismRefusedError
from daemons.rubicante.mechanisms.deadline.core_cpusets import CorePartitions
from k40s.cpu.model import Domain
from tests.kernel.conftest import CORE, Hog, eventually, is_at_rest
from tests.kernel.deadline_scene import (
    ATTRIBUTES,
    CPUSETS,
    PREFIX,
    Machine,
    alone,
    attr,
    balance_kept,
    held,
    put_back,
    start_machine,
)
from tests.kernel.scene import make_container, policy
from tests.kernel.shares import keeps_to, measured_shares

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not (CPUSETS / "cpuset.sched_load_balance").exists(),
    reason="needs root and the cpuset controller of cgroup v1",
)
StartHog = Callable[..., Hog]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    with alone(), balance_kept():
        yield


@pytest.fixture
def machine(undo: ExitStack, kubepods: Path, tmp_path: Path) -> Machine:
    undo.callback(put_back, tmp_path / "memory.json")
    return start_machine(undo, kubepods, tmp_path / "memory.json", cores={CORE}, partitioned=True)


@pytest.fixture
def container(kubepods: Path) -> Path:
    return make_container(kubepods)


@pytest.fixture
def partitions(machine: Machine) -> CorePartitions:
    assert machine.partitions is not None
    return machine.partitions


@contextmanager
def confined_to(core: int) -> Iterator[None]:
    """What is started inside begins on that core."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, mine)


def cpuset(tid: int) -> str:
    lines = Path(f"/proc/{tid}/cgroup").read_text().splitlines()
    return next(line.split(":")[2] for line in lines if line.split(":")[1] == "cpuset")


def test_offers_a_domain_for_each_core(machine: Machine) -> None:
    offer = machine.support.offer

    assert offer is not None
    assert (offer.domain, offer.cpus, machine.support.partitions) == (Domain.PARTITIONED, 1, True)
    assert offer.capacity == pytest.approx(0.9)


def test_a_core_takes_nine_tenths_and_no_more(
    partitions: CorePartitions, start_hog: StartHog
) -> None:
    def answers() -> list[int | None]:
        found: list[int | None] = []
        with confined_to(CORE):
            hogs = [start_hog("idle") for _ in range(4)]
        for hog, share in zip(hogs, (3000, 3000, 3000, 100), strict=True):
            partitions.move_in(CORE, hog.tid)
            partitions.keep()
            try:
                ATTRIBUTES.set(hog.tid, attr(share, 10_000))
            except OSError as error:
                found.append(error.errno)
            else:
                found.append(0)
        for hog in hogs:
            drop(ATTRIBUTES, hog.tid, asleep=True)
            hog.end()
        return found

    # what dead threads had, counts until a timer has run on their CPU
    eventually(lambda: answers() == [0, 0, 0, errno.EBUSY])


def test_a_thread_is_held_on_its_core_and_comes_home(
    machine: Machine, start_hog: StartHog, container: Path
) -> None:
    hog = start_hog("thread", "ctl", cgroup=container)
    before = cpuset(hog.tid), os.sched_getaffinity(hog.tid)
    reservation = held(30, 100, core=CORE)
    machine.back_end.know([reservation])
    machine.back_end.claim([reservation])

    eventually(lambda: machine.look(hog, reservation))

    assert policy(hog.tid) & 0xFFFF == SCHED_DEADLINE
    assert cpuset(hog.tid) == f"/{PREFIX}-core-{CORE}"
    assert os.sched_getaffinity(hog.tid) == {CORE}
    assert (cpuset(hog.pid), policy(hog.pid)) == (before[0], os.SCHED_OTHER)
    found = measured_shares(hog.tid, expected=[0.30])
    assert keeps_to(found, [0.30]), found
    machine.back_end.know([reservation])
    assert machine.back_end.members(reservation) == (hog.tid,)
    assert machine.back_end.release(reservation.name.pod_uid)
    assert (cpuset(hog.tid), os.sched_getaffinity(hog.tid)) == before
    assert policy(hog.tid) == os.SCHED_OTHER


def test_a_sleeping_thread_is_taken_when_it_has_run_on_its_new_core(
    machine: Machine, start_hog: StartHog, container: Path
) -> None:
    with confined_to(0):
        hog = start_hog("late", "ctl", cgroup=container)
    reservation = held(30, 100, core=CORE)
    machine.back_end.know([reservation])
    eventually(lambda: is_at_rest(hog.tid))

    assert not machine.look(hog, reservation)
    assert policy(hog.tid) == os.SCHED_OTHER
    assert hog.tell("go") == "named"

    eventually(lambda: machine.look(hog, reservation))
    assert policy(hog.tid) & 0xFFFF == SCHED_DEADLINE
    assert machine.back_end.release(reservation.name.pod_uid)


def test_a_new_cpuset_that_joins_the_domains_is_noticed(
    machine: Machine,
    partitions: CorePartitions,
    start_hog: StartHog,
    container: Path,
    undo: ExitStack,
) -> None:
    hog = start_hog("thread", "ctl", cgroup=container)
    reservation = held(30, 100, core=CORE)
    machine.back_end.know([reservation])
    newcomer = CPUSETS / f"{PREFIX}-newcomer"
    newcomer.mkdir()
    undo.callback(newcomer.rmdir)
    (newcomer / "cpuset.cpus").write_text("0-1")
    assert (newcomer / "cpuset.sched_load_balance").read_text() == "1\n"
    partitions.move_in(CORE, hog.tid)
    eventually(lambda: machine.threads.last_cpu(hog.tid) == CORE)
    with pytest.raises(PermissionError):
        ATTRIBUTES.set(hog.tid, attr(100, 10_000))

    assert machine.enforce(hog, reservation)

    assert (newcomer / "cpuset.sched_load_balance").read_text() == "0\n"
    assert machine.back_end.release(reservation.name.pod_uid)
    partitions.move_back(hog.tid, "/")


def test_threads_of_pods_that_the_book_does_not_know_are_put_out(
    machine: Machine, start_hog: StartHog, container: Path
) -> None:
    hog = start_hog("thread", "ctl", cgroup=container)
    reservation = held(30, 100, core=CORE)
    machine.back_end.know([reservation])
    eventually(lambda: machine.look(hog, reservation))
    machine.back_end.know([])

    strays = machine.back_end.sweep()

    assert [(stray.what, stray.idle, stray.cause) for stray in strays] == [
        (f"thread {hog.tid}", True, "")
    ]
    assert (cpuset(hog.tid), policy(hog.tid)) == ("/", os.SCHED_OTHER)


def test_a_core_that_others_joined_to_the_rest_is_refused_for_good(
    machine: Machine, partitions: CorePartitions
) -> None:
    wanted = held(10, 100, core=CORE)
    machine.back_end.know([wanted])
    machine.back_end.claim([wanted])
    (partitions.path(CORE) / "cpuset.cpus").write_text(f"0,{CORE}")

    with pytest.raises(MechanismRefusedError, match="EPERM"):
        machine.back_end.claim([wanted])
