"""A thread that could run and does not."""

from dataclasses import dataclass, field
from typing import cast

import pytest

from daemons.rubicante.kernel.threads import Thread, Threads
from daemons.rubicante.mechanisms.deadline.starvation import Starvation
from k40s.units import NS_PER_MS, Nanoseconds

PERIOD = Nanoseconds(20 * NS_PER_MS)
LONG = Nanoseconds(4000 * NS_PER_MS)
CTL = Thread(tid=7, name="ctl", started=100)


@dataclass
class Machine:
    """One thread, and a clock."""

    seconds: float = 50.0
    asleep: bool = False
    ran: str | None = "1 1 1"
    alive: list[Thread] = field(default_factory=lambda: [CTL])
    reads: int = 0

    def sleeps(self, tid: int) -> bool:
        assert tid == CTL.tid
        self.reads += 1
        return self.asleep

    def activity(self, tid: int) -> str | None:
        assert tid == CTL.tid
        return self.ran

    def lives(self, tid: int, started: int) -> bool:
        return any((one.tid, one.started) == (tid, started) for one in self.alive)

    def watch(self) -> Starvation:
        return Starvation(threads=cast("Threads", self), clock=lambda: self.seconds)


def looks(
    machine: Machine, watch: Starvation, seconds: float, period: Nanoseconds = PERIOD
) -> bool:
    """Ten looks a second for so long; whether one found it starved."""
    found = False
    for _ in range(round(seconds * 10)):
        machine.seconds += 0.1
        found = watch.is_starved(CTL, period) or found
    return found


def test_a_runnable_thread_that_runs_nothing_for_a_second_is_starved() -> None:
    machine = Machine()
    watch = machine.watch()

    assert not looks(machine, watch, 0.9)
    assert looks(machine, watch, 1.3)


def test_it_is_told_once_in_a_while() -> None:
    machine = Machine()
    watch = machine.watch()
    assert looks(machine, watch, 1.2)

    assert not watch.is_starved(CTL, PERIOD)
    assert looks(machine, watch, 2.2)


def test_a_thread_that_sleeps_is_not() -> None:
    machine = Machine(asleep=True)

    assert not looks(machine, machine.watch(), 5)


def test_a_thread_that_runs_is_not() -> None:
    machine = Machine()
    watch = machine.watch()

    for number in range(50):
        machine.ran = f"{number} 0 0"
        assert not looks(machine, watch, 0.1)


def test_one_whose_budget_is_used_up_may_wait_for_three_of_its_periods() -> None:
    machine = Machine()
    watch = machine.watch()

    assert not looks(machine, watch, 11.8, LONG)
    assert looks(machine, watch, 2, LONG)


def test_a_kernel_that_keeps_no_count_starves_nobody() -> None:
    machine = Machine(ran=None)

    assert not looks(machine, machine.watch(), 5)


@pytest.mark.parametrize("asleep", [False, True])
def test_a_thread_is_looked_at_once_a_second(asleep: bool) -> None:
    machine = Machine(asleep=asleep)
    watch = machine.watch()
    looks(machine, watch, 0.9)

    assert machine.reads == 1


def test_another_thread_of_the_same_number_begins_anew() -> None:
    machine = Machine()
    watch = machine.watch()
    looks(machine, watch, 0.9)
    machine.alive = [Thread(tid=7, name="ctl", started=200)]
    watch.forget_dead()

    assert not looks(machine, watch, 0.9)
