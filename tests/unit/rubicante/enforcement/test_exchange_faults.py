"""Killed or refused at every single write of an exchange: nothing is lost, and it is completed."""

import errno
import os

import pytest

from k40s.runtime.store import StoreError
from tests.fakes.rubicante.exchange_points import KilledError, PointedKernel, PointedStore
from tests.fakes.rubicante.exchange_scene import ADMIT, DRAIN, EXCHANGE, Exchanging, shared_node
from tests.fakes.rubicante.faults import Points
from tests.fakes.rubicante.kernel import CPU, FIFO
from tests.fakes.rubicante.world import PREFIX, World

POINTS = 24
"""So many writes has the exchange; a test counts them."""


class Stage:
    """Two pods run, and a third asks; ``arm`` has the writes from then on counted."""

    def __init__(self) -> None:
        self.kernel, self.store = PointedKernel(), PointedStore()
        world = World(
            base=shared_node(),
            admit=ADMIT,
            find_exchange=EXCHANGE,
            system=self.kernel,
            store=self.store,
        )
        self.scene = Exchanging(world)
        for number in (1, 2):
            assert self.scene.admit(number)
            self.scene.settle(DRAIN)

    def arm(self, points: Points) -> None:
        self.kernel.points = self.store.points = points

    def exchange(self) -> None:
        if 3 not in self.scene.tids:
            self.scene.admit(3)
        self.scene.settle(3 * DRAIN)

    def must_be_complete(self, what: str) -> None:
        scene = self.scene
        assert scene.world.book.exchanges() == (), what
        held = {r.group: r.server for r in scene.world.book.standing().reservations}
        assert {n: scene.world.groups.server(n) for n in scene.numbers()} == held, what
        assert None not in [scene.group(number) for number in (1, 2, 3)], what
        for tid in scene.tids.values():
            thread = self.kernel.threads[tid]
            assert (thread.policy, thread.affinity) == (FIFO, {1}), what

    def must_leave_nothing(self, what: str) -> None:
        for number in (1, 2, 3):
            self.scene.world.pods.delete(self.uid(number))
        self.scene.settle(DRAIN)
        self.scene.world.enforcer.sweep()
        assert self.scene.world.book.entries() == (), what
        assert self.scene.world.book.exchanges() == (), what
        assert not [p for p in self.kernel.groups if p.name.startswith(PREFIX)], what
        assert self.store.texts.keys() == {"generation"}, what
        for thread in self.kernel.threads.values():
            assert thread.policy == os.SCHED_OTHER, what
            assert thread.cgroup.is_relative_to(CPU / "k8s"), what

    @staticmethod
    def uid(number: int) -> str:
        return f"00000000-0000-4000-8000-{number:012d}"


def names() -> list[str]:
    stage = Stage()
    points = Points()
    stage.arm(points)
    stage.exchange()
    stage.arm(Points())
    stage.must_be_complete("without faults")
    return points.names


def test_the_points_are_all_tried() -> None:
    found = names()

    assert len(found) == POINTS
    assert sum(name.startswith("store") for name in found) == 5


@pytest.mark.parametrize("at", range(1, POINTS + 1))
def test_killed_at_any_write_the_next_process_completes_it(at: int) -> None:
    stage = Stage()
    points = Points(at=at, fault=_die)
    stage.arm(points)
    try:
        stage.exchange()
    except KilledError:
        stage.arm(Points())
        stage.scene.restart()
        stage.scene.settle(0.1)
        stage.scene.world.enforcer.sweep()
        stage.exchange()
    stage.arm(Points())

    stage.must_be_complete(f"killed before {points.names[-1]}")
    stage.must_leave_nothing(f"killed before {points.names[-1]}")


@pytest.mark.parametrize("at", range(1, POINTS + 1))
def test_refused_at_any_write_the_same_process_completes_it(at: int) -> None:
    stage = Stage()
    points = Points(at=at, fault=_refuse)
    stage.arm(points)
    for _ in range(2):
        try:
            stage.exchange()
        except StoreError:  # the request is answered with 503, and comes again
            continue
    stage.arm(Points())
    stage.scene.world.enforcer.sweep()

    stage.must_be_complete("refused")
    stage.must_leave_nothing("refused")


def _die(_what: str) -> None:
    raise KilledError


def _refuse(what: str) -> None:
    if what.startswith("store"):
        raise StoreError("the disk is full")
    raise OSError(errno.EINVAL, "refused")
