"""Giving everything back, on a kernel in memory: what is undone, in which order, what is said."""

import errno
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from daemons.rubicante import __main__ as program
from daemons.rubicante.cluster.pod_events import PodEvents
from daemons.rubicante.give_back.leftovers import Leftovers
from daemons.rubicante.give_back.node import GiveBack
from daemons.rubicante.mechanisms.origin_log import Origin, OriginLog
from daemons.rubicante.metrics import FeedbackMetrics
from daemons.rubicante.settings import Groups, Settings
from k40s.annotations import ALLOCATION_KEY, CPU_STATE_KEY, REAL_TIME_LABEL
from k40s.kube.records import PodCondition, PodRecord
from k40s.node_api.allocation import format_allocation
from tests.fakes.rubicante.api_server import NODE, FakePodSource
from tests.fakes.rubicante.containers import container_world
from tests.fakes.rubicante.grants import HandMade, grant
from tests.fakes.rubicante.kernel import CPU, PROC, FakeKernel
from tests.fakes.rubicante.scene import SETTINGS
from tests.fakes.rubicante.world import PREFIX, World, pod, uid

ORIGIN = Origin(
    tid=100, started=7, pod_uid=uid(1), cgroup=Path("/cg/cpu/k8s/a"), affinity=frozenset({0, 2})
)
ENFORCED = PodCondition(status=True, reason="Enforced", message="held")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(SETTINGS, group_prefix=PREFIX, store=tmp_path / "book.sqlite")


def give_back_of(world: World, settings: Settings, *, book: bool = True) -> GiveBack:
    """A new process on the world's disk, kernel and API server."""
    again = world.restarted()

    def pods() -> tuple[PodRecord, ...]:
        world.server.get_node(NODE)  # which may be away
        return FakePodSource(world.server).list().records

    world.system.files[PROC / "sys/kernel/random/boot_id"] = "one\n"
    metrics = FeedbackMetrics(CollectorRegistry())
    return GiveBack(
        node=NODE,
        lease=("k40s-system", f"rubicante-{NODE}"),
        leftovers=Leftovers(
            settings,
            system=world.system,
            access=None,
            stop=threading.Event(),
            clock=lambda: world.seconds,
        ),
        book=again.book if book else None,
        pods=pods,
        gateway=world.server,
        events=PodEvents(
            node="edge-1", writer=world.server, metrics=metrics, clock=lambda: world.seconds
        ),
    )


def running(world: World, *numbers: int) -> list[int]:
    """Pods that are placed, published and enforced; their threads."""
    tids = []
    for number in numbers:
        world.reserve(number)
        cgroup = world.container(number, id_=number)
        shown = "/" + str(cgroup.relative_to(CPU))
        tids.append(world.system.spawn(cgroup, "ctl", other_cgroup=shown))
        text = format_allocation(world.book.find(uid(number)).reservations)
        world.server.add(
            pod(number, node=NODE, phase="Running", annotations={ALLOCATION_KEY: text})
        )
    world.look()
    world.server.patch_node(
        NODE, labels={REAL_TIME_LABEL: "true"}, annotations={CPU_STATE_KEY: "{}"}
    )
    world.server.has_lease = True
    assert all(world.system.threads[tid].policy for tid in tids)
    return tids


def two_pods(*, group: int | None = 0) -> tuple[World, list[int]]:
    world = World(admit=HandMade(grant(1, core=0, group=group), grant(2, core=1, group=group)))
    return world, running(world, 1, 2)


def is_ordinary_at_home(world: World, tid: int) -> bool:
    thread = world.system.threads[tid]
    at_home = "/" + str(thread.cgroup.relative_to(CPU)) == thread.other_cgroup
    return at_home and (thread.policy, thread.affinity) == (0, world.system.cores)


@pytest.mark.parametrize("group", [0, None])
def test_nothing_of_ours_is_left(group: int | None, settings: Settings) -> None:
    world, tids = two_pods(group=group)

    left = give_back_of(world, settings).act()

    assert left == ()
    assert all(is_ordinary_at_home(world, tid) for tid in tids)
    assert [path for path in world.system.groups if path.name.startswith(PREFIX)] == []
    assert world.restarted().book.entries() == ()
    assert world.server.node is not None
    assert CPU_STATE_KEY not in world.server.node.annotations
    assert REAL_TIME_LABEL not in world.server.node.labels
    assert not world.server.has_lease


def test_each_pod_is_told_once(settings: Settings) -> None:
    world, _ = two_pods()

    give_back_of(world, settings).act()
    give_back_of(world, settings).act()

    assert [(event[0], event[1]) for event in world.server.events] == [
        (uid(1), "ReservationGivenBack"),
        (uid(2), "ReservationGivenBack"),
    ]


def test_no_pod_is_said_to_be_enforced_any_more(settings: Settings) -> None:
    world, _ = two_pods()
    for record in list(world.server.pods.values()):
        world.server.add(replace(record, enforced=ENFORCED))
    world.server.add(pod(3, node=NODE, phase="Running"))  # not ours
    world.server.add(replace(pod(4, node=NODE, phase="Succeeded"), enforced=ENFORCED))

    work = give_back_of(world, settings)
    work.act()
    work.act()

    told = [(found, it.status, it.reason, turned) for found, it, turned in world.server.conditions]
    assert told == [
        (uid(1), False, "ReservationGivenBack", True),
        (uid(2), False, "ReservationGivenBack", True),
    ]


def test_conditions_are_taken_back_when_the_api_server_answers_again(settings: Settings) -> None:
    world, _ = two_pods()
    for record in list(world.server.pods.values()):
        world.server.add(replace(record, enforced=ENFORCED))
    world.server.down = True
    work = give_back_of(world, settings)
    work.act()
    world.server.down = False

    assert work.act() == ()

    assert {found for found, it, _ in world.server.conditions if not it.status} == {uid(1), uid(2)}


def test_the_state_goes_first_and_the_label_last(settings: Settings) -> None:
    world, _ = two_pods()
    world.server.patches.clear()
    world.system.refuse["set_policy"] = [OSError(errno.EPERM, "no")] * 100

    work = give_back_of(world, settings)
    left = work.act()
    between = list(world.server.patches)
    world.system.refuse.clear()
    rest = work.act()

    assert any("budget group" in what for what in left)
    assert any(uid(1) in what for what in left)
    assert between == [({}, {CPU_STATE_KEY: None})]
    assert rest == ()
    assert world.server.patches[-1] == ({REAL_TIME_LABEL: None}, {})


def test_a_dry_run_names_everything_and_changes_nothing(settings: Settings) -> None:
    world, _ = two_pods()
    world.system.calls.clear()
    world.server.patches.clear()

    found = give_back_of(world, settings, book=False).find()

    assert f"budget group {PREFIX}-shared-0, 2 threads in it" in found
    assert f"{CPU_STATE_KEY} on the Node" in found
    assert world.system.calls == []
    assert world.server.patches == []
    assert world.server.has_lease


def test_without_the_book_nothing_can_be_given_back_by_mistake(settings: Settings) -> None:
    world, _ = two_pods()

    with pytest.raises(ValueError, match="without the book"):
        give_back_of(world, settings, book=False).act()


def test_groups_that_no_book_and_no_pod_knows_go_too(settings: Settings) -> None:
    world, tids = two_pods()
    world.store.texts.clear()
    world.server.pods.clear()

    left = give_back_of(world, settings).act()

    assert left == ()
    assert all(is_ordinary_at_home(world, tid) for tid in tids)


def test_groups_of_others_stay(settings: Settings) -> None:
    world, _ = two_pods()
    foreign = world.system.make_groups(CPU / f"{PREFIX}x-shared-0")
    world.system.groups[foreign].runtime = 10_000

    assert give_back_of(world, settings).act() == ()

    assert world.system.groups[foreign].runtime == 10_000


def test_while_the_api_server_is_away_the_kernel_is_given_back_and_the_rest_is_named(
    settings: Settings,
) -> None:
    world, tids = two_pods()
    world.server.down = True

    work = give_back_of(world, settings)
    left = work.act()
    world.server.down = False

    assert all(is_ordinary_at_home(world, tid) for tid in tids)
    assert any("pods are not known" in what for what in left)
    assert any("Node" in what for what in left)
    assert work.act() == ()


def test_budgets_in_containers_and_above_go_when_the_last_second_is_over(
    settings: Settings,
) -> None:
    world = container_world(admit=HandMade(grant(1, group=None)))
    (tid,) = running(world, 1)
    work = give_back_of(world, replace(settings, groups=Groups.CONTAINER))

    turns = []
    for _ in range(10):
        turns.append(work.act())
        world.seconds += 0.5

    assert any("budget of" in what for what in turns[0])
    assert turns[-1] == ()
    budgets = {path: group.runtime for path, group in world.system.groups.items() if path != CPU}
    assert set(budgets.values()) == {0}
    assert {g.period for g in world.system.groups.values()} == {1_000_000}
    assert world.system.threads[tid].policy == 0


def test_a_new_process_restores_the_cpus_that_a_program_had_chosen(
    settings: Settings, tmp_path: Path
) -> None:
    del tmp_path
    world = World(admit=HandMade(grant(1, core=1, group=0)))
    world.system.files[PROC / "sys/kernel/random/boot_id"] = "one\n"
    (tid,) = running(world, 1)
    origin = replace(ORIGIN, tid=tid, started=tid, affinity=frozenset({0}))
    OriginLog(system=world.system, proc=PROC, file=settings.store.with_name("origins.jsonl")).note(
        origin
    )

    left = give_back_of(world, settings).act()

    assert left == ()
    assert world.system.threads[tid].affinity == {0}
    assert not settings.store.with_name("origins.jsonl").exists()


def test_a_thread_that_was_made_ordinary_and_not_unpinned_gets_its_cpus_back(
    settings: Settings,
) -> None:
    world = World(admit=HandMade(grant(1, core=1, group=0)))
    world.system.files[PROC / "sys/kernel/random/boot_id"] = "one\n"
    cgroup = world.container(1)
    tid = world.system.spawn(cgroup, "ctl", other_cgroup="/" + str(cgroup.relative_to(CPU)))
    world.system.threads[tid].affinity = frozenset({1})
    log = OriginLog(system=world.system, proc=PROC, file=settings.store.with_name("origins.jsonl"))
    log.note(replace(ORIGIN, tid=tid, started=tid, affinity=frozenset({0, 1})))

    work = give_back_of(world, settings)
    found = work.find()
    left = work.act()

    assert found == (f"CPUs of thread {tid}",)
    assert left == ()
    assert world.system.threads[tid].affinity == {0, 1}


@pytest.fixture
def log(system: FakeKernel, tmp_path: Path) -> OriginLog:
    system.files[PROC / "sys/kernel/random/boot_id"] = "one\n"
    return OriginLog(system=system, proc=PROC, file=tmp_path / "origins")


def test_origins_outlive_the_process(log: OriginLog, system: FakeKernel, tmp_path: Path) -> None:
    log.note(replace(ORIGIN, affinity=frozenset({1})))
    log.note(ORIGIN)

    again = OriginLog(system=system, proc=PROC, file=tmp_path / "origins")

    assert again.read() == (ORIGIN,)


def test_origins_of_a_former_boot_are_void(
    log: OriginLog, system: FakeKernel, tmp_path: Path
) -> None:
    log.note(ORIGIN)
    system.files[PROC / "sys/kernel/random/boot_id"] = "two\n"

    assert OriginLog(system=system, proc=PROC, file=tmp_path / "origins").read() == ()


@pytest.mark.parametrize("damage", ["{", "\x00\x00", '{"boot": "one"}', "[]", "null", "7"])
def test_a_damaged_line_costs_no_other(damage: str, log: OriginLog, tmp_path: Path) -> None:
    log.note(ORIGIN)
    with (tmp_path / "origins").open("a") as file:
        file.write(damage)
    later = replace(ORIGIN, tid=101)
    log.note(later)

    assert log.read() == (ORIGIN, later)


def test_lines_of_dead_threads_are_dropped_in_time(log: OriginLog, tmp_path: Path) -> None:
    for tid in range(1000):
        log.note(replace(ORIGIN, tid=tid))
        log.keep([ORIGIN])

    assert len((tmp_path / "origins").read_text().split("\n\n")) < 600


def test_a_file_that_cannot_be_written_is_said_once_and_hinders_nothing(
    system: FakeKernel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    system.files[PROC / "sys/kernel/random/boot_id"] = "one\n"
    log = OriginLog(system=system, proc=PROC, file=tmp_path / "absent" / "origins")

    log.note(ORIGIN)
    log.note(ORIGIN)

    assert [record.message for record in caplog.records] == ["thread origins not written"]


@pytest.mark.parametrize(
    "arguments",
    [["--dry-run"], ["--stay"], ["--give-back", "--stay", "--dry-run"], ["--giveback"]],
)
def test_words_that_do_not_go_together_are_refused_with_the_reason(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        program.main(arguments)

    assert "error:" in capsys.readouterr().err
