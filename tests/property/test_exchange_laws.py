"""Whatever happens while servers are exchanged, every state holds, and in the end it is done.

Pods come, go, start again and never sleep; the process is killed at any write, and the disk or the
kernel refuses one. After each look the book is held against admission's full test, the kernel
against the book, and threads against the wait of rule 3 by a record that knows only groups.
"""

import errno
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from daemons.rubicante.book.entry import Phase
from k40s.cpu.admission.schedulability import node_holds
from k40s.cpu.model import CpuNode
from k40s.errors import K40sError
from k40s.runtime.store import StoreError
from k40s.units import NS_PER_S
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.exchange_points import KilledError, PointedKernel, PointedStore
from tests.fakes.rubicante.exchange_scene import ADMIT, EXCHANGE, shared_node
from tests.fakes.rubicante.faults import Points
from tests.fakes.rubicante.kernel import CPU
from tests.fakes.rubicante.world import PREFIX, World, ask, container_id, pod, task, uid

PODS = range(1, 6)
TASKS = (
    *((17, 300), (15, 120), (46, 300), (11, 150), (4, 250), (13, 100), (19, 250), (19, 150)),
    *((27, 400), (45, 250), (6, 100), (58, 400), (26, 200), (49, 250), (8, 400), (3, 100)),
)
"""WCET and period in ms. Some of these, in some order, let others in only by an exchange."""
NUMBERS = st.sampled_from(PODS)
ASK = st.tuples(st.just("ask"), NUMBERS, st.sampled_from(TASKS))
WAIT = st.tuples(st.just("wait"), st.integers(1, 12))
STEPS = st.lists(
    st.one_of(
        ASK,
        ASK,
        WAIT,
        WAIT,
        st.tuples(st.sampled_from(["delete", "undo", "run on", "start again", "sleep"]), NUMBERS),
        st.tuples(st.sampled_from(["die", "die", "refuse"]), st.integers(1, 12)),
    ),
    min_size=4,
    max_size=20,
)
_KNOWN = (
    *(("ask", 1, TASKS[0]), ("wait", 8), ("ask", 2, TASKS[1]), ("wait", 8)),
    ("ask", 3, TASKS[2]),
)
"""After these, servers are being exchanged."""
_TWO_MOVE = (
    *(("ask", 1, (25, 250)), ("wait", 8), ("ask", 2, (11, 120)), ("wait", 8)),
    *(("ask", 3, (14, 100)), ("wait", 6)),
)
"""And here in two steps."""
_DYING = (*_KNOWN[:-1], ("die", 9), _KNOWN[-1], ("wait", 6))
"""And here the process is killed in the middle."""
_BUSY = (*_KNOWN, ("run on", 1), ("wait", 6), ("sleep", 1), ("wait", 4))
"""And here the thread that is to move does not sleep for a while."""

_NO_FAULT = Points()


@dataclass
class Record:
    """Which pods' threads have been real-time in which group, and when such pairs ended.

    ``waits`` are when all jobs that were in progress at such an end have ended.
    """

    used: set[tuple[str, int]] = field(default_factory=set)
    waits: list[float] = field(default_factory=list)

    def note(self, node: CpuNode, inside: set[tuple[str, int]], now: float) -> None:
        held = {(r.pod_uid, r.group) for r in node.reservations if r.group is not None}
        if inside - self.used:
            assert all(now >= until - 1e-6 for until in self.waits), "a thread came too early"
        if self.used - held:
            ran = [r for r in node.reservations if (r.pod_uid, r.group) in self.used]
            periods = [r.server.period for r in ran]
            deadlines = [one.deadline for r in ran for one in r.tasks]
            drain = max(periods, default=0) + max(deadlines, default=0)
            self.waits.append(now + drain / NS_PER_S)
        self.used = (self.used | inside) & held


class Life:
    """A node whose API server remembers pods; a pod that exists keeps its UID and its tasks."""

    def __init__(self, seen: Counter[str]) -> None:
        self.kernel, self.store, self.seen = PointedKernel(), PointedStore(), seen
        self.world = World(
            base=shared_node(),
            admit=ADMIT,
            find_exchange=EXCHANGE,
            system=self.kernel,
            store=self.store,
        )
        self.tids: dict[int, int] = {}
        self.record = Record()
        self.arm(_NO_FAULT)
        self.is_quiet = True

    def step(self, step: tuple[object, ...]) -> None:
        kind, number = str(step[0]), int(str(step[1]))
        if kind in ("die", "refuse"):
            self.arm(Points(at=number, fault=_die if kind == "die" else _refuse))
        elif kind == "wait":
            self.wait(number)
            self.is_quiet = self.kernel.points is _NO_FAULT
        else:
            self.survive(lambda: self.act(kind, number, step))
            self.wait(1)

    def act(self, kind: str, number: int, step: tuple[object, ...]) -> None:
        tid = self.tids.get(number)
        if kind == "ask" and tid is None:
            wcet, period = step[2]  # type: ignore[misc]  # as STEPS has it
            self.ask(number, int(wcet), int(period))
        elif kind == "delete":
            self.end(number)
        elif kind == "undo":
            self.world.reservations.release(uid(number))
        elif tid is not None and kind == "start again":
            self.kernel.kill(tid)
            self.start(number)
        elif tid is not None:
            self.kernel.threads[tid].state = "R" if kind == "run on" else "S"

    def ask(self, number: int, wcet: int, period: int) -> None:
        self.world.server.add(pod(number))
        wanted = task(wcet_ms=wcet, period_ms=period)
        answer, _ = self.world.reservations.reserve(ask(number, wanted))
        self.seen["begun"] += any(
            one.newcomer == uid(number) for one in self.world.book.exchanges()
        )
        if answer.schedulable:
            ids = {"main": container_id(number)}
            self.world.pods.upsert(self.world.server.add(pod(number, node=NODE, container_ids=ids)))
            self.start(number)

    def start(self, number: int) -> None:
        cgroup = self.world.container(number, id_=number)
        shown = "/" + str(cgroup.relative_to(CPU))
        self.tids[number] = self.kernel.spawn(cgroup, "ctl", other_cgroup=shown)

    def end(self, number: int) -> None:
        self.world.server.pods.pop(("default", f"pod-{number}"), None)
        tid = self.tids.pop(number, None)
        if tid is not None:
            self.kernel.kill(tid)
        self.world.pods.delete(uid(number))

    def wait(self, looks: int) -> None:
        for _ in range(looks):
            before = {tid for tid in self.tids.values() if self.kernel.threads[tid].priority}
            is_quiet = self.is_quiet
            self.survive(self.world.look)
            self.check()
            kept = {tid for tid in before if self.kernel.threads[tid].priority}
            assert not is_quiet or kept == before, "a thread was ordinary for a moment"
            self.world.seconds += 0.1

    def arm(self, points: Points) -> None:
        """Faults from now on; until the next one, what they did is repaired."""
        self.kernel.points = self.store.points = points
        self.is_quiet = False

    def survive(self, act: object) -> None:
        """A refused request comes again or not; after a kill there is a new process."""
        completed = len(self.world.book.exchanges())
        try:
            act()  # type: ignore[operator]  # a function of no arguments
        except K40sError:
            self.arm(_NO_FAULT)
        except KilledError:
            self.arm(_NO_FAULT)
            self.restart()
        self.seen["ended"] += completed > len(self.world.book.exchanges())

    def restart(self) -> None:
        self.world = self.world.restarted()
        present = [one for one in self.world.server.pods.values() if one.node]
        self.world.pods.replace(present)
        for number in [int(one.uid[-12:]) for one in present]:
            if number not in self.tids:  # the process died while it heard that the pod is bound
                self.start(number)
        self.world.enforcer.sweep()
        self.seen["killed in an exchange"] += bool(self.world.book.exchanges())

    def check(self) -> None:
        standing = self.world.book.standing()
        assert node_holds(standing)
        groups = {(r.pod_uid, r.group): r for r in standing.reservations}
        inside = set()
        for number, tid in self.tids.items():
            thread = self.kernel.threads[tid]
            if thread.priority:
                found = int(thread.cgroup.name.rpartition("-")[2])
                held = groups[uid(number), found]
                period = self.kernel.groups[thread.cgroup].period * 1000
                assert held.server.period == period
                inside.add((uid(number), found))
        self.record.note(standing, inside, self.world.seconds)
        assert len(self.world.book.exchanges()) <= len(standing.cores)

    def must_end_well(self) -> None:
        self.arm(_NO_FAULT)
        for tid in self.tids.values():
            self.kernel.threads[tid].state = "S"
        self.world.seconds += 61
        self.survive(self.world.upkeep.resolve_leases)
        self.wait(60)
        self.world.enforcer.sweep()
        book = self.world.book
        assert book.exchanges() == ()
        held = {r.group: r.server for r in book.standing().reservations}
        assert {n: self.world.groups.server(n) for n in self.world.groups.numbers()} == held
        for entry in book.entries():
            assert entry.phase is Phase.BOUND
            tid = self.tids.get(int(entry.pod.uid[-12:]))  # none where its start was not heard of
            if tid is not None:
                thread = self.kernel.threads[tid]
                assert (thread.priority,) == entry.reservations[0].priorities
        for number in PODS:
            self.end(number)
        self.wait(10)
        self.world.enforcer.sweep()
        assert self.store.texts.keys() <= {"generation"}
        assert not [path for path in self.kernel.groups if path.name.startswith(PREFIX)]


def test_whatever_happens_in_an_exchange_every_state_holds_and_it_ends() -> None:
    seen: Counter[str] = Counter()

    @given(st.sampled_from([(), _KNOWN, _TWO_MOVE, _BUSY, _DYING]), STEPS)
    def live(first: tuple[tuple[object, ...], ...], steps: list[tuple[object, ...]]) -> None:
        life = Life(seen)
        for step in first:
            life.step(step)
        for step in steps:
            life.step(step)
        life.must_end_well()

    live()

    assert seen["begun"] > 10
    assert seen["ended"] > 10
    assert seen["killed in an exchange"] > 2


def _die(_what: str) -> None:
    raise KilledError


def _refuse(what: str) -> None:
    if what.startswith("store"):
        raise StoreError("the disk is full")
    raise OSError(errno.EINVAL, "refused")
