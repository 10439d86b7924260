"""Where book, pods and kernel differ: told, and what is of others is left alone."""

import errno
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from daemons.rubicante.cluster.pod_events import PodEvents
from daemons.rubicante.kernel.realtime_threads import ForeignThread, ForeignThreads
from daemons.rubicante.mechanisms.back_end import Stray
from daemons.rubicante.metrics import FeedbackMetrics, ReconciliationMetrics
from daemons.rubicante.monitoring.audit import Audit
from k40s.annotations import (
    ALLOCATION_KEY,
    CRITICALITY_KEY,
    ENFORCEMENT_KEY,
    TASKS_KEY,
    task_json,
)
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.kernel import CPU, PROC, Group
from tests.fakes.rubicante.scene import Scene
from tests.fakes.rubicante.world import World, pod, says, task, uid


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


class InKernel:
    """What an account's kernel holds: implements ``StraySource`` and ``ForeignGroupSource``."""

    def __init__(self, account: "Account") -> None:
        self._account = account

    def strays(self) -> tuple[Stray, ...]:
        return self._account.strays

    def foreign(self) -> dict[str, Fraction]:
        return self._account.foreign


class Account:
    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self.strays: tuple[Stray, ...] = ()
        self.foreign: dict[str, Fraction] = {}
        self.foreign_threads: tuple[ForeignThread, ...] = ()
        self.meanwhile: Callable[[], object] = lambda: None
        self.events = PodEvents(
            node="edge-1",
            writer=self.world.server,
            metrics=FeedbackMetrics(CollectorRegistry()),
            clock=lambda: self.world.seconds,
        )
        self.audit = Audit(
            book=self.world.book,
            pods=self.world.pods,
            enforcement=self.world.enforcer,
            strays=InKernel(self),
            foreign=InKernel(self),
            foreign_threads=self,
            events=self.events,
            metrics=ReconciliationMetrics(self.world.registry),
            clock=lambda: self.world.seconds,
        )

    def find(self, enforced: object) -> tuple[ForeignThread, ...]:
        assert isinstance(enforced, set)
        found = tuple(one for one in self.foreign_threads if one.tid not in enforced)
        self.meanwhile()
        return found

    def bind(self, number: int = 1) -> None:
        """A pod is reserved for and bound, as k40s does it."""
        self.world.reserve(number)
        held = self.world.book.node().reservations
        record = pod(number, node=NODE, annotations=says(number, held=held))
        self.world.pods.upsert(self.world.server.add(record))

    def look_on(self, seconds: int) -> list[tuple[str, str, str]]:
        """Look once a second; the events that were written."""
        self.audit.look()
        for _ in range(seconds):
            self.world.seconds += 1
            self.audit.look()
        before, self.world.server.events = self.world.server.events, []
        self.events.send()
        return before + self.world.server.events

    def counted(self, kind: str) -> float | None:
        return self.world.metric("k40s_rubicante_differences", {"kind": kind})


@pytest.fixture
def account() -> Account:
    return Account()


def test_a_thread_that_is_enforced_during_the_look_is_no_stranger(account: Account) -> None:
    account.world.reserve(1)
    tid = account.world.system.spawn(account.world.container(), "ctl")
    foreign = ForeignThread(tid=tid, name="ctl", policy="SCHED_FIFO", priority=98)
    account.foreign_threads = (foreign,)
    account.meanwhile = account.world.look

    account.audit.look()

    assert account.audit.warnings() == ()


def test_a_book_that_is_true_to_pods_and_kernel_has_no_difference(account: Account) -> None:
    account.bind()

    account.audit.look()

    assert account.audit.warnings() == ()
    assert account.counted("unreserved-pod") == 0


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({TASKS_KEY: json.dumps([task_json(task(wcet_ms=9))])}, "annotations ask for something"),
        ({TASKS_KEY: None}, "annotations ask for something"),
        ({CRITICALITY_KEY: "HI"}, "annotations ask for something"),
        ({CRITICALITY_KEY: None}, "annotations are not valid"),
        ({ENFORCEMENT_KEY: "rt-cgroup"}, "annotations ask for something"),
        ({TASKS_KEY: "?"}, "annotations are not valid"),
        ({ALLOCATION_KEY: "{}"}, "status.k40s.io/cpu says something"),
        ({ALLOCATION_KEY: None}, "status.k40s.io/cpu says something"),
        ({"example.org/note": "x"}, ""),
    ],
)
def test_a_bound_pod_that_is_changed_keeps_what_it_holds_and_its_owner_is_told(
    changed: dict[str, str | None], what: str, restarted: bool
) -> None:
    account = Account()
    account.bind()
    if restarted:
        account = Account(account.world.restarted())
    before = account.world.book.entries()
    texts = {**account.world.server.pods["default", "pod-1"].annotations, **changed}
    kept = {key: text for key, text in texts.items() if text is not None}

    account.world.pods.upsert(pod(1, node=NODE, annotations=kept))
    events = account.look_on(seconds=4)

    assert account.counted("grant-differs") == bool(what)
    assert [(who, why) for who, why, _ in events] == [(uid(1), "GrantDiffers")] * bool(what)
    assert all(what in text for _, _, text in events)
    assert account.world.book.entries() == before


def test_a_node_whose_platform_changes_under_a_pod_is_told_at_the_pod(account: Account) -> None:
    account.bind()
    account.world.book.describe(replace(account.world.book.node(), platform="arm"))

    events = account.look_on(seconds=4)

    assert "platform gives its tasks other WCETs" in events[0][2]


@pytest.mark.parametrize("tasks", [json.dumps([task_json(task())]), "?"])
def test_a_pod_that_was_placed_past_k40s_is_told_within_seconds(
    account: Account, tasks: str
) -> None:
    texts = {CRITICALITY_KEY: "LOW", TASKS_KEY: tasks}
    account.world.pods.replace([pod(3, node=NODE, annotations=texts)])

    at_once, later = account.look_on(seconds=0), account.look_on(seconds=4)

    assert at_once == []
    assert [(who, why) for who, why, _ in later] == [(uid(3), "NotAdmitted")]
    assert account.counted("unadmitted-pod") == 1


def test_a_pod_without_tasks_or_at_its_end_needs_no_grant(account: Account) -> None:
    tasks = {CRITICALITY_KEY: "LOW", TASKS_KEY: "[]"}
    account.world.pods.upsert(pod(1, node=NODE, annotations={CRITICALITY_KEY: "HI"}))
    account.world.pods.upsert(pod(2, node=NODE, annotations=tasks, phase="Succeeded"))

    assert account.look_on(seconds=60) == []
    assert account.audit.warnings() == ()


def test_what_is_mended_in_time_is_not_told_at_the_pod(account: Account) -> None:
    account.world.pods.upsert(pod(1, node=NODE, annotations={ALLOCATION_KEY: "{}"}))
    account.look_on(seconds=2)
    account.bind()

    assert account.look_on(seconds=60) == []


def test_a_pod_without_its_reservation_is_told_here_and_at_the_pod(account: Account) -> None:
    account.world.pods.upsert(pod(3, node=NODE, annotations={ALLOCATION_KEY: "{}"}))

    account.audit.look()
    account.events.send()
    at_once = list(account.world.server.events)
    account.world.seconds += 10
    account.audit.look()
    account.events.send()

    assert at_once == []
    assert account.audit.warnings() == ("pod default/pod-3 runs here without its reservation",)
    assert account.counted("unreserved-pod") == 1
    assert [(who, why) for who, why, _ in account.world.server.events] == [
        (uid(3), "ReservationMissing")
    ]


def test_a_reservation_without_its_pod_is_told(account: Account) -> None:
    account.world.reserve(1)
    account.world.book.confirm(uid(1))

    account.audit.look()

    assert account.counted("abandoned-reservation") == 1


def test_strays_foreign_groups_and_foreign_threads_are_told(account: Account) -> None:
    account.strays = (Stray(what="rt-shared-7", idle=False, cause="EBUSY"),)
    account.foreign = {"other": Fraction(1, 4)}
    account.foreign_threads = (ForeignThread(tid=7, name="video", policy="SCHED_RR", priority=50),)

    account.audit.look()

    assert account.audit.warnings() == (
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
        account.audit.look()

    assert [record.message for record in caplog.records] == ["difference"]


def test_a_difference_that_is_gone_is_no_longer_told(account: Account) -> None:
    account.foreign = {"other": Fraction(1, 4)}
    account.audit.look()
    account.foreign = {}
    account.world.seconds = 11

    account.audit.look()

    assert account.audit.warnings() == ()
    assert account.counted("foreign-group") == 0


def test_of_one_kind_no_more_than_twenty_are_told(account: Account) -> None:
    account.foreign = {f"g{number}": Fraction(1, 100) for number in range(50)}

    account.audit.look()

    assert len(account.audit.warnings()) == 20
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
    foreign_threads = ForeignThreads(system=system, proc=PROC, cores=frozenset({1}))  # type: ignore[arg-type]

    found = foreign_threads.find({14})

    assert [one.text for one in found] == [
        "thread 12 (video (hd)) runs as SCHED_FIFO 50 on our CPUs",
        "thread 15 (budget) runs as SCHED_DEADLINE on our CPUs",
    ]


def test_a_machine_whose_processes_cannot_be_read_has_no_strangers() -> None:
    assert ForeignThreads(system=World().system, proc=PROC, cores=frozenset({1})).find(set()) == ()


def test_the_daemon_tells_it_in_its_state_and_leaves_the_foreign_group_alone() -> None:
    scene = Scene()
    foreign = CPU / "foreign"
    scene.kernel.groups[foreign] = Group(runtime=100_000)
    tasks = '[{"name":"x","period":"100ms","wcet":{"xeon":"99ms"}}]'
    annotations = {CRITICALITY_KEY: "HI", TASKS_KEY: tasks, ALLOCATION_KEY: "{}"}
    scene.server.add(pod(3, node=NODE, annotations=annotations))
    scene.open()
    before = replace(scene.kernel.groups[foreign])

    scene.daemon.audit.look()

    state = scene.daemon.api().test_client().get("/v1/state").json
    assert state["warnings"] == [
        "pod default/pod-3 runs here without its reservation",
        "the group foreign of others holds 0.1000 of real-time bandwidth",
    ]
    assert scene.kernel.groups[foreign] == before
    scene.daemon.halt()
