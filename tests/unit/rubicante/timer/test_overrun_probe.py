"""One sample of the probe: what a throttled hog has used beyond its budget."""

import os
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import pytest

from daemons.rubicante.kernel.probes.hog import Load
from daemons.rubicante.kernel.sched_attr import SCHED_DEADLINE, SchedAttr
from daemons.rubicante.mechanisms.timer.overrun_probe import BUDGET, PERIOD, OverrunProbe
from k40s.units import NS_PER_S


@dataclass
class Machine:
    """A clock, and a hog whose budgets end late by what ``lateness`` says, one after the other.

    ``pause`` is added to each wait: a machine that is busy with others.
    """

    lateness: list[int]
    pause: float = 0.0
    seconds: float = 0.0
    attr: SchedAttr = field(default_factory=lambda: SchedAttr(policy=os.SCHED_OTHER))
    policies: list[int] = field(default_factory=list)
    went: float | None = None
    spent: int = 0
    late: int = 0
    stolen: int = 0
    started: list[Load] = field(default_factory=list)
    ended: int = 0
    tid: int = 7

    # Attributes

    def get(self, tid: int) -> SchedAttr:
        assert tid == self.tid
        return self.attr

    def set(self, tid: int, attr: SchedAttr) -> None:
        assert tid == self.tid
        self.attr = attr
        self.policies.append(attr.policy)

    def make_ordinary(self, tid: int) -> None:
        assert tid == self.tid
        self.spent, self.went = self.used(), None
        self.attr = SchedAttr(policy=os.SCHED_OTHER)
        self.policies.append(os.SCHED_OTHER)

    # Hog

    def go(self) -> None:
        self.went, self.late = self.seconds, self.lateness.pop(0)

    def stop(self) -> None:
        pass

    def is_stopped(self) -> bool:
        return True

    def used(self) -> int:
        if self.went is None:
            return self.spent
        ran = round((self.seconds - self.went) * NS_PER_S)
        periods = 1 + ran // PERIOD
        return self.spent + min(ran, periods * BUDGET + self.late)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.ended += 1

    def start(self, load: Load, cores: AbstractSet[int]) -> Self:
        del cores
        self.started.append(load)
        return self

    def wait(self, seconds: float) -> None:
        self.seconds += seconds + self.pause


def probe(machine: Machine, samples: int) -> OverrunProbe:
    return OverrunProbe(
        attributes=machine,
        start_hog=machine.start,
        stolen=lambda _cores: machine.stolen,
        wait=machine.wait,
        clock=lambda: machine.seconds,
        samples=samples,
    )


def test_the_overrun_of_each_budget_is_found_to_the_nanosecond() -> None:
    machine = Machine(lateness=[5_000, 3_878_123, 600_000, 0, 17, 99])

    found = probe(machine, 3).measure({0}, lambda: True)

    assert found == {Load.USER: (5_000, 3_878_123, 600_000), Load.CALLS: (0, 17, 99)}
    assert machine.ended == 2


def test_the_hog_is_ordinary_after_each_sample() -> None:
    machine = Machine(lateness=[1, 2, 3, 4])

    probe(machine, 2).measure({0}, lambda: True)

    assert machine.policies == [SCHED_DEADLINE, os.SCHED_OTHER] * 4


@pytest.mark.parametrize("pause", [0.004, 0.012, 0.05])
def test_a_busy_machine_sees_no_larger_overrun(pause: float) -> None:
    machine = Machine(lateness=[5_000] * 40, pause=pause)

    found = probe(machine, 20).measure({0}, lambda: True)

    assert {late for each in found.values() for late in each} <= {5_000}


def test_what_a_hypervisor_took_meanwhile_is_no_sample() -> None:
    class Stealing(Machine):
        def go(self) -> None:
            super().go()
            self.stolen += len(self.lateness) % 2

    machine = Stealing(lateness=[10, 20, 30, 40, 50, 60, 70, 80])
    found = probe(machine, 4).measure({0}, lambda: True)

    assert found == {Load.USER: (20, 40), Load.CALLS: (60, 80)}


def test_it_ends_when_it_may_not_go_on() -> None:
    machine = Machine(lateness=[1, 2])
    answers = iter([True, False, False])

    found = probe(machine, 9).measure({0}, lambda: next(answers))

    assert found == {Load.USER: (1,), Load.CALLS: ()}


def test_a_refusal_ends_the_hog() -> None:
    class Full(Machine):
        def set(self, tid: int, attr: SchedAttr) -> None:
            del tid, attr
            raise OSError(16, "busy")

    machine = Full(lateness=[])

    with pytest.raises(OSError, match="busy"):
        probe(machine, 2).measure({0}, lambda: True)

    assert machine.ended == 1
