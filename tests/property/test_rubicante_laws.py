"""Whatever happens in whatever order, book, disk and kernel agree and no core is overloaded."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from daemons.rubicante.book.entry import Phase
from k40s.criticality import Criticality
from k40s.kube.records import PodRecord
from tests.fakes.rubicante.api_server import NODE
from tests.fakes.rubicante.kernel import CPU
from tests.fakes.rubicante.world import World, ask, pod, task, uid

PODS = st.integers(1, 4)
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("reserve"),
            PODS,
            st.integers(1, 12),
            st.sampled_from([Criticality.LOW, Criticality.HI]),
        ),
        st.tuples(st.sampled_from(["bind", "undo", "delete", "start", "restart", "wait"]), PODS),
    ),
    max_size=14,
)


class Story:
    """Pods come, start and go; a pod that exists keeps its name and UID."""

    def __init__(self) -> None:
        self.world = World()
        self.generation = 0
        self.node: dict[int, str] = {}

    def step(self, step: tuple[object, ...]) -> None:
        kind, number = step[0], step[1]
        assert isinstance(number, int)
        if kind == "reserve":
            _, _, wcet, criticality = step
            assert isinstance(wcet, int)
            assert isinstance(criticality, Criticality)
            self.world.server.add(self.record(number))
            request = ask(number, task(wcet_ms=wcet), criticality=criticality)
            self.world.reservations.reserve(request)
        elif kind == "bind":
            self.node[number] = NODE
            self.world.pods.upsert(self.world.server.add(self.record(number)))
        elif kind == "undo":
            self.world.reservations.release(uid(number))
        elif kind == "delete":
            self.end(number)
        elif kind == "start":
            cgroup = self.world.container(number, id_=number)
            if not self.world.system.groups[cgroup].tids:
                path = "/" + str(cgroup.relative_to(CPU))
                self.world.system.spawn(cgroup, "ctl", other_cgroup=path)
        elif kind == "restart":
            self.world = self.world.restarted()
            here = [self.record(n) for n in self.node]
            self.world.pods.replace(here)
        else:
            self.world.seconds += 61
            self.world.upkeep.resolve_leases()
        for _ in range(5):  # each may wait for the one before
            self.world.look()
            self.world.seconds += 0.25
        self.world.enforcer.sweep()

    def end(self, number: int) -> None:
        self.node.pop(number, None)
        self.world.server.pods.pop(("default", f"pod-{number}"), None)
        self.world.pods.delete(uid(number))

    def record(self, number: int) -> PodRecord:
        return pod(number, node=self.node.get(number, ""))

    def check(self) -> None:
        book, kernel = self.world.book, self.world.system
        assert book.generation >= self.generation
        self.generation = book.generation
        assert book.node().utilization(1) <= Fraction(9, 10)
        assert self.world.restarted().book.entries() == book.entries()
        groups = self.world.groups
        reserved = {e.pod.uid for e in book.entries() if e.phase is not Phase.RELEASING}
        assert {name.pod_uid for name in groups.names()} == reserved
        for entry in book.entries():
            (name,) = [n for n in groups.names() if n.pod_uid == entry.pod.uid]
            held = groups.server(name)
            assert held is not None
            (reservation,) = entry.reservations
            assert held.period == reservation.server.period
            assert held.budget >= reservation.server.budget
            for tid in groups.members(name):
                thread = kernel.threads[tid]
                assert (thread.priority,) == reservation.priorities
                assert thread.affinity == {reservation.core}


@given(STEPS)
def test_book_disk_and_kernel_agree_and_no_core_is_overloaded(
    steps: list[tuple[object, ...]],
) -> None:
    story = Story()

    for step in steps:
        story.step(step)
        story.check()

    for number in range(1, 5):
        story.end(number)
    story.world.seconds += 61
    story.world.upkeep.resolve_leases()
    story.world.look()
    story.world.enforcer.sweep()
    assert story.world.book.entries() == ()
    assert story.world.system.admitted() == 0
    assert all(thread.policy == 0 for thread in story.world.system.threads.values())


@given(st.integers(1, 30))
def test_reserve_then_release_restores_the_node(wcet: int) -> None:
    world = World()
    world.reserve(1, task(wcet_ms=2))
    before = world.book.node(), world.system.admitted()
    world.server.add(pod(2))

    world.reservations.reserve(ask(2, task(wcet_ms=wcet)))
    world.reservations.release(uid(2))
    world.look()

    (after,) = world.book.node().reservations
    (held,) = before[0].reservations
    assert after.server.budget >= held.server.budget
    assert world.system.admitted() == after.server.bandwidth
