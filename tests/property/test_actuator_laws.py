"""Whenever the actuator is killed, the next one leaves every pod as it was."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from daemons.malacoda.actuator.protocol import Verb
from k40s.errors import UnavailableError
from tests.fakes.malacoda.actuator import Machine
from tests.fakes.malacoda.kernel import CONTAINER, FakeKernel, uid

PODS = 3
SEEDS = st.integers(0, 2**32)


class Killed(BaseException):  # no error: signal 9
    """The process ends here, and nothing of it runs any more."""


class World:
    """Pods with limits, and a process that may be killed at each write to kernel or disk."""

    def __init__(self, *, unified: bool, seed: int) -> None:
        self.chance = Random(seed)
        self.machine = Machine(kernel=FakeKernel(unified=unified))
        for number in range(PODS):
            containers = self.chance.randint(0, 3)
            pod = self.machine.kernel.pod(
                uid(number),
                self.chance.choice(["burstable", "besteffort"]),
                limit=self.chance.choice([-1, 30, 90]) if containers else -1,
                containers=containers,
            )
            for inner in range(containers):
                tree = "" if unified else "cpuset/"
                path = f"{tree}{pod}/{inner}{CONTAINER[1:]}/cpuset.cpus"
                self.machine.kernel.write(path, self.chance.choice(["0-2", "0,2", "1-2"]))
        self.before = self.machine.kernel.snapshot()
        self.left: int | None = None
        self.machine.kernel.before = lambda _path, _text: self._pass()
        self.machine.store.before = lambda _key: self._pass()

    def act(self, number: int) -> None:
        for _ in range(number):
            verb = self.chance.choice(list(Verb))
            self.machine.ask(verb, self.chance.randrange(PODS))
            if self.chance.random() < 0.2:
                self.machine.actuator.look()

    def _pass(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed


@given(unified=st.booleans(), seed=SEEDS, kill=st.integers(0, 40), again=st.integers(0, 6))
def test_killed_at_any_write_and_again_while_undoing_nothing_stays_held(
    unified: bool,
    seed: int,
    kill: int,
    again: int,
) -> None:
    world = World(unified=unified, seed=seed)
    for left, turn in ((kill, lambda: world.act(12)), (again, world.machine.start)):
        world.left = left
        try:
            turn()
        except Killed:
            continue
    world.left = None

    world.machine.start()

    assert world.machine.kernel.snapshot() == world.before
    assert set(world.machine.store.texts) <= {"acts", "kills"}


@given(unified=st.booleans(), seed=SEEDS)
def test_undoing_everything_restores_every_value(unified: bool, seed: int) -> None:
    world = World(unified=unified, seed=seed)
    world.act(20)

    assert world.machine.actuator.undo_all("the monitor is gone")

    assert world.machine.kernel.snapshot() == world.before


@given(unified=st.booleans(), seed=SEEDS, failing=st.integers(1, 3))
def test_what_fails_now_and_then_is_undone_in_the_end(
    unified: bool,
    seed: int,
    failing: int,
) -> None:
    world = World(unified=unified, seed=seed)

    def fail(*_: str) -> None:
        if world.chance.randrange(failing + 1) == 0:
            raise UnavailableError("disk full")

    def refuse(*_: str) -> None:
        if world.chance.randrange(failing + 1) == 0:
            raise OSError(5, "Input/output error")

    world.machine.store.before, world.machine.kernel.before = fail, refuse
    world.act(12)
    world.machine.store.before = lambda _key: None
    world.machine.kernel.before = lambda _path, _text: None

    assert world.machine.actuator.undo_all("the monitor is gone")

    assert world.machine.kernel.snapshot() == world.before
    assert set(world.machine.store.texts) <= {"acts", "kills"}
