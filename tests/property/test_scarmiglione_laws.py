"""No sequence of requests, changes, faults and kills leaves a slot double, leaked or lost."""

from collections.abc import Callable, Iterable
from contextlib import suppress

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from daemons.scarmiglione.network.back_end import AppliedSlot
from daemons.scarmiglione.slots.entry import Entry, Phase, parse_entries
from daemons.scarmiglione.slots.presence import Presence, find_slot
from k40s.errors import KernelError, UnavailableError
from k40s.tdma.model import Window
from tests.fakes.scarmiglione.back_end import Killed
from tests.fakes.scarmiglione.world import INTERFACE, World, uid, window

PLACES = st.integers(1, 5)
ELSEWHERE = window(900, length_us=30)
FAULTS = st.one_of(
    st.just(""), st.integers(1, 14), st.sampled_from(("", "kernel", "one slot", "disk"))
)


def slots_of(place: int) -> tuple[Window, ...]:
    """Each place has times of its own; odd ones have joint slots."""
    at = 30 + 160 * (place - 1)
    first = window(at, length_us=30)
    return (first, window(at + 50, length_us=30)) if place % 2 else (first,)


def numbers_of(entries: Iterable[Entry]) -> list[int]:
    return [n for entry in entries for slot in entry.slots for n in slot.channel.numbers]


class Station(RuleBasedStateMachine):
    """``foreign`` are slots that another program has set.

    There are five places in the cycle; a pod that has ended leaves its place to another one.
    """

    @initialize()
    def start(self) -> None:
        self.world = World().open()
        self.dead = False
        self.foreign: dict[int, AppliedSlot] = {}
        self.lives = dict.fromkeys(range(1, 6), 0)
        self.attempts = 0
        self.asked: dict[int, str] = {}

    @rule(place=PLACES, fault=FAULTS, shown=st.booleans(), again=st.booleans())
    def bind_asks(self, place: int, fault: str | int, shown: bool, again: bool) -> None:
        """An extender reserves, and asks before or after the watch shows that."""
        number = self.number(place)
        if self.lives[place]:
            self.world.unreserve(number - 10)
        self.world.reserve(number, *slots_of(place))
        if shown:
            self.awake().world.show()
        self.attempts += not again
        self.asked[number] = f"a{self.attempts}"
        self.do(fault, lambda: self.ask(place, self.asked[number]))

    @rule(place=PLACES, fault=FAULTS)
    def stranger_asks(self, place: int, fault: str | int) -> None:
        """A request without a reservation, maybe for ever."""
        self.do(fault, lambda: self.ask(place, "never"))

    @rule(place=PLACES, fault=FAULTS)
    def bind_is_given_up(self, place: int, fault: str | int) -> None:
        number = self.number(place)
        if uid(number) not in self.world.pods:
            self.world.unreserve(number)
        attempt = self.asked.get(number, "none")
        self.do(fault, lambda: self.world.daemon.requests.withdraw(uid(number), attempt))

    @rule(place=PLACES)
    def pod_is_bound(self, place: int) -> None:
        number = self.number(place)
        held = {one.owner.uid for one in self.world.networks["plant"].reservations}
        if uid(number) in held:
            self.awake().world.bind(number)

    @rule(place=PLACES)
    def pod_ends(self, place: int) -> None:
        number = self.number(place)
        if uid(number) in self.world.pods:
            self.lives[place] += 1
            self.awake().world.end(number)

    @rule(place=PLACES)
    def reservation_is_collected(self, place: int) -> None:
        number = self.number(place)
        if uid(number) not in self.world.pods:
            self.world.unreserve(number)

    @rule(fault=FAULTS, seconds=st.sampled_from((0.2, 1.0, 11.0)), alone=st.booleans())
    def time_passes(self, fault: str | int, seconds: float, alone: bool) -> None:
        """While slots of others are there, the station is not healthy and takes no new pods."""
        if alone:
            self.other_program_removes_its_slots()
        self.awake().world.show()
        self.do(fault, lambda: self.world.tick(seconds))

    @rule()
    def process_is_killed(self) -> None:
        self.dead = True

    @rule()
    def node_reboots(self) -> None:
        self.world.kernel.slots.clear()
        self.foreign.clear()
        self.dead = True

    @rule(number=st.integers(2, 9), intended=st.booleans())
    def another_program_sets_a_slot(self, number: int, intended: bool) -> None:
        """Not where a pod's slot is, or was: that one would be put right.

        But maybe where one was about to be, or is about to go, when the process was killed.
        """
        stored = self.stored()
        applied = numbers_of([entry for entry in stored if entry.phase is Phase.APPLIED])
        others = numbers_of([entry for entry in stored if entry.phase is not Phase.APPLIED])
        for at in others if intended else [number]:
            if at not in self.world.kernel.of(INTERFACE) and at not in applied:
                slot = AppliedSlot(number=at, offset=ELSEWHERE.offset, phase=0, every=1, payload=60)
                self.foreign[at] = self.world.kernel.of(INTERFACE)[at] = slot
                return

    def other_program_removes_its_slots(self) -> None:
        for number in self.foreign:
            del self.world.kernel.of(INTERFACE)[number]
        self.foreign.clear()

    def number(self, place: int) -> int:
        """The pod that may be at a place."""
        return place + 10 * self.lives[place]

    def ask(self, place: int, attempt: str) -> None:
        """Whoever is told a channel has its slots there."""
        answer = self.world.ask(self.number(place), *slots_of(place), attempt=attempt)
        if answer.schedulable:
            held = self.world.kernel.of(INTERFACE)
            assert answer.granted[0].channel is not None
            assert held[answer.granted[0].channel].offset == slots_of(place)[0].offset

    def do(self, fault: str | int, act: Callable[[], object]) -> None:
        """Do it with a fault: the process is killed before its n-th write, if it gets there."""
        kernel, store = self.awake().world.kernel, self.world.store
        kernel.broken, store.broken = fault == "kernel", fault == "disk"
        kernel.failing_adds = int(fault == "one slot")
        kernel.steps.left = fault if isinstance(fault, int) else 0
        try:
            with suppress(UnavailableError, KernelError):
                act()
        except Killed:
            self.dead = True
        kernel.broken = store.broken = False
        kernel.steps.left = kernel.failing_adds = 0

    def awake(self) -> "Station":
        """With a process: another one, on the same disk and kernel, where there is none."""
        if self.dead:
            self.world.restart()
            self.dead = False
        return self

    def stored(self) -> list[Entry]:
        return list(parse_entries(self.world.store.texts).values())

    @invariant()
    def whatever_the_kernel_holds_is_in_the_book(self) -> None:
        numbers = numbers_of(self.stored())
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
        self.other_program_removes_its_slots()
        self.awake()
        self.settle()
        self.compare()
        for place in self.lives:
            number = self.number(place)
            self.pod_ends(place)
            self.world.unreserve(number)
            self.world.unreserve(number - 10)
        self.settle()
        assert self.world.numbers == []
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
