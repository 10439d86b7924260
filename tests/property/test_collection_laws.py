"""No bound pod loses its reservation, no place is given twice, nothing leaks: whatever crashes."""

import random
from datetime import timedelta

import pytest

from controller.collection.expiry import LONGEST
from k40s.ledger.collection import PodFact
from k40s.units import NS_PER_S
from tests.fakes.controller.networks import LEASE_SECONDS, NODES, CrashError, FakePlant, Process

MOST_PODS = 6
MOST_SKEW = 3600
SETTLED = LONGEST // NS_PER_S + 2 * LEASE_SECONDS
STEPS = 250


class Story:
    """Two controllers of which one leads, an extender that may die, users that delete pods."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.plant = FakePlant()
        self.plant.extender_skew = self.skew()
        self.skews = (self.skew(), self.skew())
        self.processes = [Process(self.plant, skew=one) for one in self.skews]
        self.lead(0)
        self.serial = 0

    def skew(self) -> timedelta:
        return timedelta(
            seconds=self.random.choice((0, self.random.randint(-MOST_SKEW, MOST_SKEW)))
        )

    def find(self, *, bound: bool) -> str | None:
        found = [uid for uid, one in self.plant.pods.items() if bool(one.node) is bound]
        return self.random.choice(found) if found else None

    def create(self) -> None:
        if len(self.plant.pods) < MOST_PODS:
            self.serial += 1
            self.plant.pods[f"pod-{self.serial}"] = PodFact(node="")

    def reserve(self) -> None:
        """Also for a pod that is bound: the answer to its Binding was lost."""
        uid = self.find(bound=self.random.random() < 0.15)
        if uid is not None and uid not in self.plant.begun:
            self.plant.reserve(uid, self.random.choice(NODES))

    def end_bind(self) -> None:
        if self.plant.begun:
            uid = self.random.choice(sorted(self.plant.begun))
            match self.random.choice(("bind", "bind", "bind", "unanswered", "undo", "die")):
                case "bind":
                    self.plant.bind(uid)
                case "unanswered":
                    self.plant.bind(uid, answered=False)
                case "undo":
                    self.plant.undo(uid)
                case _:
                    del self.plant.begun[uid]

    def bind_past_the_extender(self) -> None:
        uid = self.find(bound=False)
        if uid is not None and uid not in self.plant.begun:
            self.plant.pods[uid] = PodFact(node=self.random.choice(NODES))

    def delete(self) -> None:
        uid = self.find(bound=self.random.random() < 0.7)
        if uid is not None:
            del self.plant.pods[uid]
            self.plant.rightful.discard(uid)

    def end_pod(self) -> None:
        uid = self.find(bound=True)
        if uid is not None:
            self.plant.pods[uid] = PodFact(node=self.plant.pods[uid].node, ended=True)
            self.plant.rightful.discard(uid)

    def wait(self) -> None:
        self.plant.now += self.random.choice((1, 1, 1, 4, 16, 31, 700)) * NS_PER_S

    def see(self) -> None:
        process = self.random.choice(self.processes)
        self.random.choice((process.see_network, process.see_pods))()

    def trouble(self) -> None:
        self.plant.unavailable = self.random.random() < 0.3
        self.plant.unreadable = {one for one in self.plant.pods if self.random.random() < 0.2}

    def lead(self, which: int) -> None:
        for number, process in enumerate(self.processes):
            process.leading = number == which

    def look(self, which: int | None = None) -> None:
        which = self.random.randrange(2) if which is None else which
        process = self.processes[which]
        self.plant.crash = self.random.choice(("", "", "", "before", "after"))
        written = self.plant.writes
        try:
            process.tick()
        except CrashError:
            self.processes[which] = Process(self.plant, skew=self.skews[which])
            self.lead(1 - which)
        else:
            assert process.leading or self.plant.writes == written
        self.plant.crash = ""

    def step(self) -> None:
        acts = {
            self.create: 3,
            self.reserve: 4,
            self.end_bind: 4,
            self.bind_past_the_extender: 1,
            self.delete: 1,
            self.end_pod: 1,
            self.wait: 4,
            self.see: 10,
            self.trouble: 1,
            self.look: 8,
            lambda: self.lead(self.random.randrange(2)): 1,
        }
        self.random.choices(list(acts), weights=list(acts.values()))[0]()

    def check(self) -> None:
        """What holds at every instant."""
        entries = self.plant.entries
        for uid in self.plant.rightful:
            assert (uid, self.plant.pods[uid].node) in entries
        assert len({one.slots[0].windows for one in entries.values()}) == len(entries)

    def settle(self) -> None:
        """All is quiet, and one process leads for long enough."""
        self.plant.begun.clear()
        self.plant.unavailable, self.plant.unreadable = False, set()
        self.lead(0)
        self.processes[0].run(60)
        self.plant.now += SETTLED * NS_PER_S
        self.processes[0].run(60)


@pytest.mark.parametrize("seed", range(150))
def test_bound_pods_keep_their_reservations_and_nothing_leaks(seed: int) -> None:
    story = Story(seed)
    for _ in range(STEPS):
        story.step()
        story.check()

    story.settle()

    story.check()
    running = {uid: one for uid, one in story.plant.pods.items() if one.node and not one.ended}
    for (uid, node), entry in story.plant.entries.items():
        assert running[uid].node == node
        assert entry.until is None
    written = story.plant.writes
    story.processes[0].run(60)
    assert story.plant.writes == written
