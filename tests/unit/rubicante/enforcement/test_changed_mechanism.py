"""Threads that a former contract left with SCHED_DEADLINE, and budget groups hold now."""

import os
from dataclasses import dataclass, field

from daemons.rubicante.kernel.sched_attr import LEAST, SCHED_DEADLINE, SchedAttr
from tests.fakes.rubicante.kernel import CPU, FIFO, FakeKernel
from tests.fakes.rubicante.world import PREFIX, World


@dataclass
class DeadlineLog:
    """Implements ``Attributes``: what was done to threads that are SCHED_DEADLINE."""

    kernel: FakeKernel
    done: list[object] = field(default_factory=list)

    def get(self, tid: int) -> SchedAttr:
        return SchedAttr(policy=self.kernel.policy(tid)[0] & 0xFFFF)

    def set(self, tid: int, attr: SchedAttr) -> None:
        assert tid in self.kernel.threads
        self.done.append(attr)

    def make_ordinary(self, tid: int) -> None:
        self.done.append("ordinary")
        self.kernel.threads[tid].policy = os.SCHED_OTHER


def scene() -> tuple[World, DeadlineLog]:
    system = FakeKernel()
    log = DeadlineLog(system)
    return World(system=system, attributes=log), log


def test_a_deadline_thread_gives_its_bandwidth_back_before_it_enters_a_group() -> None:
    world, log = scene()
    world.reserve()
    tid = world.system.spawn(world.container(), "ctl")
    world.system.threads[tid].policy = SCHED_DEADLINE | os.SCHED_RESET_ON_FORK

    world.look()

    assert log.done == [LEAST, "ordinary"]
    assert world.system.threads[tid].policy == FIFO


def test_a_deadline_thread_in_a_group_without_a_reservation_gives_it_back_too() -> None:
    world, log = scene()
    tid = world.system.spawn(world.system.make_groups(CPU / f"{PREFIX}-shared-3"), "ctl")
    world.system.threads[tid].policy = SCHED_DEADLINE

    world.enforcer.sweep()

    assert log.done == [LEAST, "ordinary"]
