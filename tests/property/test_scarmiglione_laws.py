"""No sequence of requests, changes, faults and kills leaves a slot double, leaked or lost."""

from contextlib import suppress

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from daemons.scarmiglione.network.back_end import AppliedSlot
from daemons.scarmiglione.slots.entry import Entry, Phase, parse_entries
from daemons.scarmiglione.slots.presence import Presence, find_slot
from k40s.errors import KernelError, UnavailableError
from k40s.tdma.model import Window
from tests.fakes.scarmiglione.back_end import Killed
from tests.fakes.scarmiglione.world import INTERFACE, World, uid, window

PODS = st.integers(1, 5)
STEPS = st.integers(1, 14)


def slots_of(number: int) -> tuple[Window, ...]:
    """Each pod's own times; odd pods have joint slots."""
    at = 30 + 160 * (number - 1)
    first = window(at, length_us=30)
    return (first, window(at + 50, length_us=30)) if number % 2 else (first,)


class Station(RuleBasedStateMachine):
    """``foreign`` are slots that another program has set; ``ended`` pods never come back."""

    @initialize()
    def start(self) -> None:
        self.world = World().open()
        self.foreign: dict[int, AppliedSlot] = {}
        self.ended: set[int] = set()
        self.attempt = 0

    @rule(number=PODS, kill=st.none() | STEPS, shown=st.booleans())
    def bind_asks(self, number: int, kill: int | None, shown: bool) -> None:
        """An extender reserves, and asks before or after the watch shows that."""
        self.world.reserve(number, *slots_of(number))
        if shown:
            self.world.show()
        self.attempt += 1
        self.do(kill, lambda: self.world.ask(number, *slots_of(number), attempt=f"a{self.attempt}"))

    @rule(number=PODS, kill=st.none() | STEPS)
    def stranger_asks(self, number: int, kill: int | None) -> None:
        """A request without a reservation, ever."""
        self.do(kill, lambda: self.world.ask(number, *slots_of(number), attempt="never"))

    @rule(number=PODS, kill=st.none() | STEPS)
    def bind_is_given_up(self, number: int, kill: int | None) -> None:
        if uid(number) not in self.world.pods:
            self.world.unreserve(number)
        attempt = f"a{self.attempt}"
        self.do(kill, lambda: self.world.daemon.requests.withdraw(uid(number), attempt))

    @rule(number=PODS)
    def pod_is_bound(self, number: int) -> None:
        held = {one.owner.uid for one in self.world.networks["plant"].reservations}
        if uid(number) in held and number not in self.ended:
            with suppress(UnavailableError):  # the informer tells it again
                self.world.bind(number)

    @rule(number=PODS)
    def pod_ends(self, number: int) -> None:
        if uid(number) in self.world.pods:
            self.ended.add(number)
            self.world.end(number)

    @rule(number=PODS)
    def reservation_is_collected(self, number: int) -> None:
        if uid(number) not in self.world.pods:
            self.world.unreserve(number)

    @rule(kill=st.none() | STEPS, seconds=st.sampled_from((0.2, 1.0, 11.0)))
    def time_passes(self, kill: int | None, seconds: float) -> None:
        with suppress(UnavailableError):
            self.world.show()
        self.do(kill, lambda: self.world.tick(seconds))

    @rule()
    def process_is_killed(self) -> None:
        self.revive()

    @rule()
    def node_reboots(self) -> None:
        self.world.kernel.slots.clear()
        self.foreign.clear()
        self.revive()

    @rule(number=st.integers(2, 9))
    def another_program_sets_a_slot(self, number: int) -> None:
        """Not where a pod's slot is, or should be: that one would be put right."""
        ours = {
            n
            for entry in self.stored()
            if entry.phase is Phase.APPLIED
            for slot in entry.slots
            for n in slot.channel.numbers
        }
        if number not in self.world.kernel.of(INTERFACE) and number not in ours:
            at = window(900, length_us=30)
            slot = AppliedSlot(number=number, offset=at.offset, phase=0, every=1, payload=60)
            self.foreign[number] = self.world.kernel.of(INTERFACE)[number] = slot

    @rule()
    def other_program_removes_its_slots(self) -> None:
        for number in self.foreign:
            del self.world.kernel.of(INTERFACE)[number]
        self.foreign.clear()

    @rule(adds=st.integers(0, 2))
    def kernel_refuses_some(self, adds: int) -> None:
        self.world.kernel.failing_adds = adds

    @precondition(lambda self: not self.world.kernel.broken)
    @rule()
    def kernel_breaks(self) -> None:
        self.world.kernel.broken = True

    @rule()
    def kernel_recovers(self) -> None:
        self.world.kernel.broken = False

    @rule(broken=st.booleans())
    def disk_fails_or_recovers(self, broken: bool) -> None:
        self.world.store.broken = broken

    def do(self, kill: int | None, act: object) -> None:
        """Do it; the process is killed before its n-th write, if it gets there."""
        assert callable(act)
        self.world.kernel.steps.left = kill or 0
        try:
            with suppress(UnavailableError, KernelError):
                act()
        except Killed:
            self.revive()
        self.world.kernel.steps.left = 0

    def revive(self) -> None:
        """Another process; while the disk fails it does not start."""
        self.world.kernel.steps.left = 0
        with suppress(UnavailableError):
            self.world.restart()

    def stored(self) -> list[Entry]:
        return list(parse_entries(self.world.store.texts).values())

    @invariant()
    def whatever_the_kernel_holds_is_in_the_book(self) -> None:
        numbers = [n for e in self.stored() for slot in e.slots for n in slot.channel.numbers]
        assert len(numbers) == len(set(numbers))
        assert set(self.world.kernel.of(INTERFACE)) <= set(numbers) | set(self.foreign)

    @invariant()
    def slots_of_others_stay(self) -> None:
        held = self.world.kernel.of(INTERFACE)
        assert {n: held.get(n) for n in self.foreign} == self.foreign

    def teardown(self) -> None:
        """In the end, pods that are here have exactly their slots; without pods there are none."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.kernel.broken = world.store.broken = False
        world.kernel.failing_adds = 0
        self.other_program_removes_its_slots()
        self.revive()
        self.settle()
        self.compare()
        for number in range(1, 6):
            self.pod_ends(number)
            world.unreserve(number)
        self.settle()
        assert world.numbers == []
        assert self.stored() == []

    def settle(self) -> None:
        self.world.show()
        for _ in range(4):
            self.world.tick(11.0)

    def compare(self) -> None:
        world = self.world
        state = world.daemon.reconciler.findings
        reserved = {one.owner.uid for one in world.networks["plant"].reservations}
        entries = {entry.pod.uid: entry for entry in world.daemon.book.entries()}
        assert entries.keys() <= reserved
        assert {one for one in world.pods if one in reserved} <= entries.keys()
        for station in world.daemon.stations.all():
            read = station.back_end.read()
            assert not state.of(station.key).foreign
            for entry in entries.values():
                assert entry.phase is Phase.APPLIED
                for slot in entry.slots:
                    found = find_slot(station.back_end, read, slot).presence
                    assert found is Presence.WHOLE


TestStation = Station.TestCase
