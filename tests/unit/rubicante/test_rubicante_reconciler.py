"""Where book, pods and kernel differ: told, and what is of others is left alone."""

import errno
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from daemons.rubicante.kernel.mechanism import Stray
from daemons.rubicante.kernel.strangers import Stranger, Strangers
from daemons.rubicante.metrics import FeedbackMetrics, ReconciliationMetrics
from daemons.rubicante.notices import Notices
from daemons.rubicante.reconciler import Reconciler
from k40s.annotations import ALLOCATION_KEY, CRITICALITY_KEY, TASKS_KEY
from tests.fakes.rubicante_api_server import NODE
from tests.fakes.rubicante_kernel import CPU, PROC, Group
from tests.fakes.rubicante_scene import Scene
from tests.fakes.rubicante_world import World, pod, uid


class Process:
    """A ``System`` that has threads to read, and nothing else."""

    def __init__(self, threads: Mapping[int, tuple[str, int, int, int]], cores: int) -> None:
        self._threads = threads
        self._cores = cores

    def directories(self, path: Path) -> tuple[str, ...]:
        if path == PROC:
            return ("acpi", *map(str, self._threads))
        return (path.parent.name,)

    def read(self, path: Path) -> str:
        name, flags, priority, policy = self._threads[int(path.parent.name)]
        if name == "gone":
            raise FileNotFoundError(errno.ENOENT, "gone")
        fields = ["0"] * 50
        fields[0], fields[6] = "S", str(flags)
        fields[37], fields[38] = str(priority), str(policy)
        return f"{path.parent.name} ({name}) {' '.join(fields)}\n"

    def affinity(self, tid: int) -> frozenset[int]:
        return frozenset({0}) if self._threads[tid][0] == "elsewhere" else frozenset({0, 1})


class Account:
    def __init__(self) -> None:
        self.world = World()
        self.strays: tuple[Stray, ...] = ()
        self.foreign: dict[str, Fraction] = {}
        self.strangers: tuple[Stranger, ...] = ()
        self.meanwhile: Callable[[], object] = lambda: None
        self.notices = Notices(
            writer=self.world.server,
            metrics=FeedbackMetrics(CollectorRegistry()),
            clock=lambda: self.world.seconds,
        )
        self.reconciler = Reconciler(
            book=self.world.book,
            pods=self.world.pods.records,
            threads=self.world.enforcer.threads,
            strays=lambda: self.strays,
            foreign=lambda: self.foreign,
            strangers=self,
            notices=self.notices,
            metrics=ReconciliationMetrics(self.world.registry),
            clock=lambda: self.world.seconds,
        )

    def find(self, ours: object) -> tuple[Stranger, ...]:
        assert isinstance(ours, set)
        found = tuple(one for one in self.strangers if one.tid not in ours)
        self.meanwhile()
        return found

    def counted(self, kind: str) -> float | None:
        return self.world.metric("k40s_rubicante_differences", {"kind": kind})


@pytest.fixture
def account() -> Account:
    return Account()


def test_a_thread_that_is_enforced_during_the_look_is_no_stranger(account: Account) -> None:
    account.world.reserve(1)
    tid = account.world.system.spawn(account.world.container(), "ctl")
    account.strangers = (Stranger(tid=tid, name="ctl", policy="SCHED_FIFO", priority=98),)
    account.meanwhile = account.world.look

    account.reconciler.look()

    assert account.reconciler.warnings() == ()


def test_a_book_that_is_true_to_pods_and_kernel_has_no_difference(account: Account) -> None:
    account.world.reserve(1)
    account.world.pods.upsert(pod(1, node=NODE))

    account.reconciler.look()

    assert account.reconciler.warnings() == ()
    assert account.counted("unreserved-pod") == 0


def test_a_pod_without_its_reservation_is_told_here_and_at_the_pod(account: Account) -> None:
    account.world.pods.upsert(pod(3, node=NODE, annotations={ALLOCATION_KEY: "{}"}))

    account.reconciler.look()
    account.notices.send()
    at_once = list(account.world.server.events)
    account.world.seconds += 10
    account.reconciler.look()
    account.notices.send()

    assert at_once == []
    assert account.reconciler.warnings() == ("pod default/pod-3 runs here without its reservation",)
    assert account.counted("unreserved-pod") == 1
    assert [(who, why) for who, why, _ in account.world.server.events] == [
        (uid(3), "ReservationMissing")
    ]


def test_a_reservation_without_its_pod_is_told(account: Account) -> None:
    account.world.reserve(1)
    account.world.book.confirm(uid(1))

    account.reconciler.look()

    assert account.counted("abandoned-reservation") == 1


def test_strays_foreign_groups_and_foreign_threads_are_told(account: Account) -> None:
    account.strays = (Stray(what="rt-shared-7", idle=False, cause="EBUSY"),)
    account.foreign = {"other": Fraction(1, 4)}
    account.strangers = (Stranger(tid=7, name="video", policy="SCHED_RR", priority=50),)

    account.reconciler.look()

    assert account.reconciler.warnings() == (
        "rt-shared-7 is ours, and no reservation accounts for it EBUSY",
        "the group other of others holds 0.2500 of real-time bandwidth",
        "thread 7 (video) runs as SCHED_RR 50 on our CPUs",
    )


def test_the_account_is_taken_every_ten_seconds_and_logged_when_new(
    account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    account.foreign = {"other": Fraction(1, 4)}
    for second in range(25):
        account.world.seconds = second
        account.reconciler.look()

    assert [record.message for record in caplog.records] == ["difference"]


def test_a_difference_that_is_gone_is_no_longer_told(account: Account) -> None:
    account.foreign = {"other": Fraction(1, 4)}
    account.reconciler.look()
    account.foreign = {}
    account.world.seconds = 11

    account.reconciler.look()

    assert account.reconciler.warnings() == ()
    assert account.counted("foreign-group") == 0


def test_of_one_kind_no_more_than_twenty_are_told(account: Account) -> None:
    account.foreign = {f"g{number}": Fraction(1, 100) for number in range(50)}

    account.reconciler.look()

    assert len(account.reconciler.warnings()) == 20
    assert account.counted("foreign-group") == 50


def test_strangers_are_real_time_user_threads_on_our_cores() -> None:
    kernel_thread = 0x00200000
    system = Process(
        {
            10: ("sh", 0, 0, 0),
            11: ("migration/1", kernel_thread, 99, 1),
            12: ("video (hd)", 0, 50, 1),
            13: ("elsewhere", 0, 50, 1),
            14: ("ours", 0, 98, 1),
            15: ("budget", 0, 0, 6),
            16: ("gone", 0, 50, 1),
        },
        cores=2,
    )
    strangers = Strangers(system=system, proc=PROC, cores=frozenset({1}))  # type: ignore[arg-type]

    found = strangers.find({14})

    assert [one.text for one in found] == [
        "thread 12 (video (hd)) runs as SCHED_FIFO 50 on our CPUs",
        "thread 15 (budget) runs as SCHED_DEADLINE on our CPUs",
    ]


def test_a_machine_whose_processes_cannot_be_read_has_no_strangers() -> None:
    assert Strangers(system=World().system, proc=PROC, cores=frozenset({1})).find(set()) == ()


def test_the_daemon_tells_it_in_its_state_and_leaves_the_foreign_group_alone() -> None:
    scene = Scene()
    foreign = CPU / "foreign"
    scene.kernel.groups[foreign] = Group(runtime=100_000)
    tasks = '[{"name":"x","period":"100ms","wcet":{"xeon":"99ms"}}]'
    annotations = {CRITICALITY_KEY: "HI", TASKS_KEY: tasks, ALLOCATION_KEY: "{}"}
    scene.server.add(pod(3, node=NODE, annotations=annotations))
    scene.open()
    before = replace(scene.kernel.groups[foreign])

    scene.daemon.reconciler.look()

    state = scene.daemon.api().test_client().get("/v1/state").json
    assert state["warnings"] == [
        "pod default/pod-3 runs here without its reservation",
        "the group foreign of others holds 0.1000 of real-time bandwidth",
    ]
    assert scene.kernel.groups[foreign] == before
    scene.daemon.halt()
