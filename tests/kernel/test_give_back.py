"""After giving back, nothing of ours is in the kernel: each mechanism, also killed on the way."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from daemons.rubicante.kernel.sched_attr import LinuxAttributes
from daemons.rubicante.mechanisms.deadline.offer import DeadlineAccess
from daemons.rubicante.mechanisms.rt_cgroup.budget_groups import BudgetGroups
from daemons.rubicante.settings import Groups, Settings
from k40s.annotations import ALLOCATION_KEY, CPU_STATE_KEY, REAL_TIME_LABEL
from k40s.cpu.model import Mechanism
from k40s.node_api.allocation import format_allocation
from k40s.node_api.messages import format_reservation_request
from k40s.runtime.store import Store
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.world import ask, pod, task, uid
from tests.kernel.conftest import CORE, Hog, Node, eventually
from tests.kernel.deadline_scene import CPUSETS, PREFIX, alone
from tests.kernel.give_back_scene import give_back, killed_at, make, snapshot
from tests.kernel.scene import make_container, policy

StartHog = Callable[..., Hog]
StartNode = Callable[..., Node]
ACCESS = DeadlineAccess(attributes=LinuxAttributes())

pytestmark = pytest.mark.skipif(
    os.sched_getaffinity(0) != {0, 1}, reason="needs a root domain of the CPUs 0 and 1"
)


@dataclass(frozen=True)
class Kind:
    """How budgets are enforced, and what the daemon is told for it."""

    mechanism: Mechanism
    groups: Groups = Groups.SHARED
    cpus: tuple[int, ...] = (CORE,)
    load_balance_off: bool = False


KINDS = {
    "shared-groups": Kind(Mechanism.RT_CGROUP),
    "container-groups": Kind(Mechanism.RT_CGROUP, groups=Groups.CONTAINER),
    "deadline-shared": Kind(Mechanism.DEADLINE, cpus=(0, 1)),
    "deadline-partitions": Kind(Mechanism.DEADLINE, load_balance_off=True),
}


@pytest.fixture
def kind() -> Kind:
    return KINDS["shared-groups"]


@pytest.fixture
def settings(settings: Settings, kind: Kind) -> Settings:
    return replace(
        settings,
        cpus=kind.cpus,
        groups=kind.groups,
        load_balance_off=kind.load_balance_off,
        mechanisms=(kind.mechanism.value,),
    )


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    balance = CPUSETS / "cpuset.sched_load_balance"
    before = balance.read_text()
    with alone():
        yield
        for path in CPUSETS.glob(f"{PREFIX}-*"):  # of a test that failed
            for tid in (path / "tasks").read_text().split():
                with suppress(OSError):
                    (CPUSETS / "tasks").write_text(tid)
            path.rmdir()
        balance.write_text(before)


@dataclass
class Stage:
    """Two pods that run; ``before`` is the machine before rubicante came."""

    start_node: StartNode
    hogs: tuple[Hog, ...]
    before: dict[str, object]
    access: DeadlineAccess | None
    kind: Kind
    look: Callable[[], dict[str, object]]

    def enforce(self) -> Node:
        """Rubicante comes, both pods are placed, their threads real-time; then it goes."""
        node = self.start_node(deadline=self.access)
        for number in (1, 2):
            self._reserve(node, number)
        eventually(lambda: all(policy(hog.tid) & 0xFF for hog in self.hogs))
        eventually(lambda: _keys(node) >= NODE_KEYS)
        for number in (1, 2):  # as the extender's binding says, for those whose book gets lost
            text = format_allocation(node.daemon.book.find(uid(number)).reservations)
            present = pod(number, node=NODE, phase="Running", annotations={ALLOCATION_KEY: text})
            node.server.add(present)
        node.stop()
        return node

    def _reserve(self, node: Node, number: int) -> None:
        node.server.add(pod(number))
        request = ask(number, task(wcet_ms=5, period_ms=50))
        workload = replace(request.workload, mechanism=self.kind.mechanism)
        body = format_reservation_request(replace(request, workload=workload))
        client = node.daemon.api().test_client()
        answer = client.put(f"/v1/reservations/{uid(number)}", data=body)
        assert answer.status_code == 201, answer.text
        node.pods.deliver(pod(number, node=NODE, phase="Running"))


NODE_KEYS = {CPU_STATE_KEY, REAL_TIME_LABEL}


def _keys(node: Node) -> set[str]:
    assert node.server.node is not None
    return {*node.server.node.annotations, *node.server.node.labels}


@pytest.fixture
def stage(
    start_node: StartNode,
    kind: Kind,
    prefix: str,
    kubepods: Path,
    groups: BudgetGroups,
    settings: Settings,
    start_hog: StartHog,
    undo: ExitStack,
) -> Stage:
    del groups
    hogs = [start_hog("thread", "ctl", cgroup=make_container(kubepods, n)) for n in (1, 2)]
    os.sched_setaffinity(hogs[0].tid, {0})  # the program's own choice

    def look() -> dict[str, object]:
        return snapshot(prefix, kubepods, *hogs)

    access = ACCESS if kind.mechanism is Mechanism.DEADLINE else None
    made = Stage(start_node, tuple(hogs), look(), access, kind, look)
    undo.callback(lambda: _undo(settings, access))
    return made


def _undo(settings: Settings, access: DeadlineAccess | None) -> None:
    """Whatever a failed test has left; the API server is not needed."""
    from tests.fakes.rubicante.api_server import FakeApiServer  # noqa: PLC0415

    give_back(settings, FakeApiServer(), access)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_everything_is_as_it_was_before_rubicante_came(stage: Stage, settings: Settings) -> None:
    node = stage.enforce()
    during = stage.look()

    left = give_back(settings, node.server, stage.access)

    assert during != stage.before
    assert left == ()
    assert stage.look() == stage.before
    assert not NODE_KEYS & _keys(node)
    assert not node.server.has_lease
    with_store = Store(settings.store)
    assert [key for key in with_store.entries() if key.startswith("pod/")] == []
    with_store.close()
    assert give_back(settings, node.server, stage.access) == ()  # nothing happens a second time


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_the_pods_annotations_suffice_where_the_book_is_lost(
    stage: Stage, settings: Settings
) -> None:
    node = stage.enforce()
    for file in settings.store.parent.glob(settings.store.name + "*"):
        file.unlink()

    left = give_back(settings, node.server, stage.access)

    assert left == ()
    assert stage.look() == stage.before


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_a_dry_run_names_what_is_there_and_changes_nothing(
    stage: Stage, settings: Settings
) -> None:
    node = stage.enforce()
    during, keys = stage.look(), _keys(node)

    named = make(settings, node.server, stage.access, store=None).find()

    text = "\n".join(named)
    assert stage.look() == during
    assert _keys(node) == keys
    for what in {
        "shared-groups": ("budget group",),
        "container-groups": ("budget of", "SCHED_FIFO"),
        "deadline-shared": ("SCHED_DEADLINE",),
        "deadline-partitions": ("SCHED_DEADLINE", "cpuset"),
    }[_name(stage.kind)]:
        assert what in text
    assert CPU_STATE_KEY in text


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
@pytest.mark.timeout(1800)
def test_killed_at_any_write_it_gives_back_the_rest_when_it_runs_again(
    stage: Stage, settings: Settings
) -> None:
    number, killed = 1, True
    while killed and number < 60:
        node = stage.enforce()

        killed = killed_at(number, settings, node.server, stage.access)
        left = give_back(settings, node.server, stage.access)

        assert left == (), f"killed at write {number}"
        assert stage.look() == stage.before, f"killed at write {number}"
        number += 1 if number < 6 else 3
    print(f"{_name(stage.kind)}: killed at writes up to {number}")  # noqa: T201
    assert number > 3


def _name(kind: Kind) -> str:
    return next(name for name, one in KINDS.items() if one == kind)
