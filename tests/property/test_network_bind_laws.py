"""Laws of binding pods to networks, over random histories of several extenders.

No slot is given twice, no link overloaded, no bound pod loses what it was told, and when all pods
are gone and collected, nobody holds anything: whatever binds, deletions, lost calls, kills and
caches that lag behind. A history is drawn from a seed: built of strategies most would be short.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.extender.network_scene import NODES, FaultPoint, KilledError, Scene
from tests.fakes.extender.networks import path, slot
from tests.fakes.extender.world import World, make_pod

EXTENDERS = 2
STEPS = 60
NAMES = [f"p{number}" for number in range(8)]


def draw_requirements(dice: Random) -> list[dict[str, object]]:
    """Some fit together, some do not; a peer stands there once."""
    slots = [
        slot(
            dice.choice(["plant", "axis"]),
            payload=dice.choice(["60B", "700B", "1500B"]),
            period=dice.choice(["1ms", "2ms", "3ms", "500us"]),
        )
        for _ in range(dice.randint(0, 2))
    ]
    peers = dice.sample(NODES, dice.randint(0 if slots else 1, 2))
    return slots + [path(peer, bandwidth=dice.choice(["5Mbit", "60Mbit"])) for peer in peers]


@dataclass
class History:
    """Applies one random step after another."""

    scene: Scene = field(default_factory=Scene)
    pods: dict[str, dict[str, object]] = field(default_factory=dict)
    created: int = 0
    bound: int = 0

    def __post_init__(self) -> None:
        self.worlds: list[World] = [self.scene.start_extender() for _ in range(EXTENDERS)]

    def create(self, name: str, needs: list[dict[str, object]]) -> None:
        if name not in self.pods:
            self.created += 1
            pod = make_pod(name, uid=f"uid-{self.created}", networks=needs)
            self.pods[name] = pod
            self.scene.create(pod)

    def bind(self, name: str, extender: int, node: str, at: int, *, kills: bool) -> None:
        if name not in self.pods:
            return
        world = self.worlds[extender]
        world.filter(self.pods[name], list(NODES))
        self.scene.fail(FaultPoint(at, kills=kills))
        with suppress(KilledError):
            self.bound += world.bind(self.pods[name], node) == ""
        self.scene.heal()
        if kills and at:
            self.worlds[extender] = self.scene.start_extender()

    def delete(self, name: str) -> None:
        pod = self.pods.pop(name, None)
        if pod is None:
            return
        self.scene.delete(name)
        meta = pod["metadata"]
        assert isinstance(meta, dict)
        self.worlds[0].places.feed.delete(meta["uid"])  # the watch of the other one lags behind

    def watch(self, extender: int) -> None:
        world = self.worlds[extender]
        world.watch_networks()
        for record in self.scene.pods.by_name.values():
            world.watch_pod(record)
        world.beat("a")
        world.beat("b")

    def collect(self) -> None:
        self.scene.collect()
        self.scene.settle_stations()

    def step(self, dice: Random) -> None:
        name, extender = dice.choice(NAMES), dice.randrange(EXTENDERS)
        act = dice.choices(
            ["create", "bind", "faulty bind", "delete", "watch", "pass time", "collect"],
            [4, 6, 4, 2, 2, 1, 1],
        )[0]
        match act:
            case "create":
                self.create(name, draw_requirements(dice))
            case "bind" | "faulty bind":
                at = dice.randint(1, 8) if act == "faulty bind" else 0
                self.bind(name, extender, dice.choice(NODES), at, kills=dice.random() < 1 / 2)
            case "delete":
                self.delete(name)
            case "watch":
                self.watch(extender)
            case "pass time":
                self.scene.clock.advance(dice.choice([1, 20, 61]))
            case _:
                self.collect()


@given(st.integers(0, 2**64 - 1))
def test_nothing_is_given_twice_lost_or_leaked(seed: int) -> None:
    dice, history = Random(seed), History()  # a test repeats itself

    for _ in range(STEPS):
        history.step(dice)
        assert history.scene.faults() == []

    for name in list(history.pods):
        history.delete(name)
    history.collect()
    assert history.scene.holders() == set()
