"""No bound pod loses its reservation, no place is given twice, nothing leaks: whatever crashes."""

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from controller.collection.expiry import LONGEST
from k40s.network.collection import PodFact
from k40s.units import NS_PER_S
from tests.fakes.controller.networks import LEASE_SECONDS, NODES, CrashError, FakePlant, Process

UIDS = tuple(f"pod-{number}" for number in range(6))
SKEWS = st.integers(-3600, 3600).map(lambda seconds: timedelta(seconds=seconds))
SETTLED = LONGEST // NS_PER_S + 3600 + 2 * LEASE_SECONDS


class Collection(RuleBasedStateMachine):
    """Two controllers of which one leads, an extender that may die, users that delete pods."""

    def __init__(self) -> None:
        super().__init__()
        self.plant = FakePlant()
        self.serial = 0

    @initialize(skews=st.tuples(SKEWS, SKEWS, SKEWS))
    def begin(self, skews: tuple[timedelta, timedelta, timedelta]) -> None:
        self.plant.extender_skew = skews[0]
        self.skews = skews[1:]
        self.processes = [Process(self.plant, skew=one) for one in self.skews]
        self.lead(0)

    def find(self, number: int, *, bound: bool) -> str | None:
        found = sorted(uid for uid, one in self.plant.pods.items() if bool(one.node) is bound)
        return found[number % len(found)] if found else None

    @rule()
    def create(self) -> None:
        if len(self.plant.pods) < len(UIDS):
            self.serial += 1
            self.plant.pods[f"pod-{self.serial}"] = PodFact(node="")

    @rule(number=st.integers(0, 5), node=st.sampled_from(NODES))
    def reserve(self, number: int, node: str) -> None:
        uid = self.find(number, bound=False)
        if uid is not None and uid not in self.plant.begun:
            self.plant.reserve(uid, node)

    @precondition(lambda self: self.plant.begun)
    @rule(number=st.integers(0, 5), end=st.sampled_from(["bind", "undo", "die"]))
    def end_bind(self, number: int, end: str) -> None:
        uid = sorted(self.plant.begun)[number % len(self.plant.begun)]
        if end == "bind":
            self.plant.bind(uid)
        elif end == "undo":
            self.plant.undo(uid)
        else:
            del self.plant.begun[uid]

    @rule(number=st.integers(0, 5), node=st.sampled_from(NODES))
    def bind_past_the_extender(self, number: int, node: str) -> None:
        uid = self.find(number, bound=False)
        if uid is not None and uid not in self.plant.begun:
            self.plant.pods[uid] = PodFact(node=node)

    @rule(number=st.integers(0, 5), bound=st.booleans())
    def delete(self, number: int, bound: bool) -> None:
        uid = self.find(number, bound=bound)
        if uid is not None:
            del self.plant.pods[uid]
            self.plant.rightful.discard(uid)

    @rule(number=st.integers(0, 5))
    def end(self, number: int) -> None:
        uid = self.find(number, bound=True)
        if uid is not None:
            self.plant.pods[uid] = PodFact(node=self.plant.pods[uid].node, ended=True)
            self.plant.rightful.discard(uid)

    @rule(seconds=st.sampled_from([1, 4, 20, 60, 700]))
    def wait(self, seconds: int) -> None:
        self.plant.now += seconds * NS_PER_S

    @rule(which=st.integers(0, 1))
    def see_pods(self, which: int) -> None:
        self.processes[which].see_pods()

    @rule(which=st.integers(0, 1))
    def see_network(self, which: int) -> None:
        self.processes[which].see_network()

    @rule(unavailable=st.booleans(), unreadable=st.sets(st.sampled_from(UIDS)))
    def trouble(self, unavailable: bool, unreadable: set[str]) -> None:
        self.plant.unavailable, self.plant.unreadable = unavailable, unreadable

    @rule(which=st.integers(0, 1))
    def lead(self, which: int) -> None:
        for number, process in enumerate(self.processes):
            process.leading = number == which

    @rule(which=st.integers(0, 1), crash=st.sampled_from(["", "", "before", "after"]))
    def look(self, which: int, crash: str) -> None:
        self.plant.crash = crash
        try:
            self.processes[which].collector.tick()
        except CrashError:
            self.processes[which] = Process(self.plant, skew=self.skews[which])
            self.lead(1 - which)
        self.plant.crash = ""

    @invariant()
    def no_bound_pod_loses_its_entry(self) -> None:
        for uid in self.plant.rightful:
            assert self.plant.entries[uid].node == self.plant.pods[uid].node

    @invariant()
    def no_place_is_given_twice(self) -> None:
        entries = self.plant.reservations or ()
        assert len({one.slots[0].windows for one in entries}) == len(entries)

    def teardown(self) -> None:
        """Once all is quiet, exactly the bound pods hold something, and nothing more is written."""
        if not hasattr(self, "processes"):
            return
        for uid in list(self.plant.begun):
            del self.plant.begun[uid]
        self.plant.unavailable, self.plant.unreadable = False, set()
        self.lead(0)
        leader = self.processes[0]
        leader.run(60)
        self.plant.now += SETTLED * NS_PER_S
        leader.run(60)
        self.no_bound_pod_loses_its_entry()
        entries = self.plant.entries
        right = {
            uid: one.node for uid, one in self.plant.pods.items() if one.node and not one.ended
        }
        assert all(right.get(uid) == one.node for uid, one in entries.items())
        assert all(one.until is None for one in entries.values())
        assert self.plant.rightful <= entries.keys()
        written = self.plant.writes
        leader.run(60)
        assert self.plant.writes == written


TestCollection = Collection.TestCase
