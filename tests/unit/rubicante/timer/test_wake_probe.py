"""What wake-ups beside a hog cost, and when that is no measurement."""

import errno
import os
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import pytest

from daemons.rubicante.kernel.probes.hog import Load
from daemons.rubicante.kernel.sched_attr import SchedAttr
from daemons.rubicante.mechanisms.timer.wake_probe import SLEEPER, WakeProbe
from k40s.units import NS_PER_MS, Nanoseconds

CORES = frozenset({2, 3})


@dataclass
class Machine:
    """A hog that gets ``share`` of its CPU, and wake-ups that cost 20 ns, 700 in calls."""

    share: float = 1.0
    stolen: Callable[[int], int] = lambda batch: 0  # noqa: ARG005
    refusal: OSError | None = None
    load: Load = Load.USER
    spent: int = 0
    batches: int = 0
    places: list[tuple[AbstractSet[int], AbstractSet[int], int]] = field(default_factory=list)
    set_on: list[int] = field(default_factory=list)
    left: int = 0
    seconds: float = 0.0
    place: Callable[[int], int] = lambda batch: 2  # noqa: ARG005
    tid: int = 7

    def get(self, tid: int) -> SchedAttr:
        raise NotImplementedError

    def set(self, tid: int, attr: SchedAttr) -> None:
        assert attr == SLEEPER
        self.set_on.append(tid)
        if self.refusal is not None:
            raise self.refusal

    def make_ordinary(self, tid: int) -> None:
        raise NotImplementedError

    def go(self) -> None: ...

    def stop(self) -> None: ...

    def is_stopped(self) -> bool:
        return True

    def used(self) -> int:
        return self.spent

    def sleep(self, times: int) -> tuple[Nanoseconds, ...]:
        self.batches += 1
        self.seconds += times / 1000
        self.spent += round(times * NS_PER_MS * self.share)
        return (Nanoseconds(20 if self.load is Load.USER else 700),) * times

    def cpu(self) -> int:
        return self.place(self.batches)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.left += 1

    def start_hog(self, load: Load, cores: AbstractSet[int]) -> Self:
        self.load, self.hog_on = load, cores
        return self

    def start_sleeper(self, cores: AbstractSet[int], *, on: int) -> Self:
        self.places.append((self.hog_on, cores, on))
        return self

    def measure(
        self, go_on: Callable[[], bool] = lambda: True
    ) -> dict[Load, tuple[Nanoseconds, ...]]:
        probe = WakeProbe(
            attributes=self,
            start_hog=self.start_hog,
            start_sleeper=self.start_sleeper,
            stolen=lambda _cores: self.stolen(self.batches),
            clock=lambda: self.seconds,
        )
        return probe.measure(CORES, go_on)


def test_the_costs_beside_each_load() -> None:
    machine = Machine()

    found = machine.measure()

    assert found == {Load.USER: (20,) * 600, Load.CALLS: (700,) * 600}
    assert machine.set_on == [7, 7]
    assert machine.left == 4


def test_hog_and_sleeper_meet_on_one_cpu_of_the_domain() -> None:
    machine = Machine()

    machine.measure()

    assert machine.places == [({2}, CORES, 2)] * 2


def test_a_busy_machine_takes_more_samples_and_no_end_of_them() -> None:
    assert len(Machine(share=0.75).measure()[Load.CALLS]) == 800
    assert len(Machine(share=0.2).measure()[Load.CALLS]) == 1000


def test_beside_others_than_the_hog_nothing_is_measured() -> None:
    machine = Machine(share=0.06)

    assert machine.measure() == {Load.USER: ()}
    assert [on for _, _, on in machine.places] == [2, 3]


def test_a_cpu_that_is_too_busy_is_left_for_the_next() -> None:
    machine = Machine(place=lambda _batch: 3)

    assert len(machine.measure()[Load.CALLS]) == 600
    assert [on for _, _, on in machine.places] == [2, 3, 3]


def test_a_hog_that_died_is_beside_nobody() -> None:
    class Dying(Machine):
        def sleep(self, times: int) -> tuple[Nanoseconds, ...]:
            self.share = 1.0 if self.batches % 20 < 4 else 0.0
            return super().sleep(times)

    assert [len(costs) for costs in Dying().measure().values()] == [200, 200]


def test_a_sleeper_on_another_cpu_is_beside_nobody() -> None:
    machine = Machine(place=lambda batch: 2 if batch % 2 else 9)

    assert [len(costs) for costs in machine.measure().values()] == [300, 300]


def test_what_a_hypervisor_took_meanwhile_is_no_sample() -> None:
    machine = Machine(stolen=lambda batch: batch // 4)

    found = machine.measure()

    assert {load: len(costs) for load, costs in found.items()} == {
        Load.USER: 450,
        Load.CALLS: 450,
    }


def test_it_ends_when_it_may_not_go_on() -> None:
    answers = iter([True, True, False, False])

    assert Machine().measure(lambda: next(answers, False)) == {Load.USER: ()}


def test_a_refusal_ends_both_processes() -> None:
    machine = Machine(refusal=OSError(errno.EBUSY, os.strerror(errno.EBUSY)))

    with pytest.raises(OSError, match="busy"):
        machine.measure()

    assert machine.left == 2
