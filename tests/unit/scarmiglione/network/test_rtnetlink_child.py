"""The steps of the child that changes a schedule, with a kernel whose timer is late."""

import struct
from dataclasses import dataclass, field

import pytest

from daemons.scarmiglione.network.taprio.changeover import Timetable
from daemons.scarmiglione.network.taprio.gate_schedule import Entry, GateSchedule
from daemons.scarmiglione.network.taprio.messages import replace_request
from daemons.scarmiglione.network.taprio.rtnetlink_child import (
    change_over,
    has_pending,
    is_refused,
)
from daemons.scarmiglione.network.taprio.station import HANDLE, queue_mapping
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

HOLD, BEGIN, RELEASE, PERIOD = 100, 120, 125, 50
"""In ms."""
PATIENCE = 2 * NS_PER_S


@dataclass
class Kernel:
    """What it was asked, and at which ms."""

    begins: int = BEGIN
    """When its timer begins the schedule."""
    busy: int = 0
    """How many ms it takes to set one."""
    accepts: bool = True
    now: int = 0
    asked: list[tuple[str, int]] = field(default_factory=list)

    def ask(self, what: str) -> bool:
        self.asked.append((what, self.now // NS_PER_MS))
        return True

    def change(self) -> bool:
        self.ask("change")
        self.now += self.busy * NS_PER_MS
        return self.accepts

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * NS_PER_S)

    def run(self) -> list[tuple[str, int]]:
        change_over(
            (HOLD * NS_PER_MS, BEGIN * NS_PER_MS, RELEASE * NS_PER_MS, PERIOD * NS_PER_MS),
            patience=PATIENCE,
            hold=lambda: self.ask("hold"),
            change=self.change,
            release=lambda: self.ask("release"),
            is_pending=lambda: self.now < self.begins * NS_PER_MS,
            now=lambda: self.now,
            sleep=self.sleep,
        )
        return self.asked


def test_classes_are_held_before_the_change_and_released_at_their_time() -> None:
    assert Kernel().run() == [("hold", HOLD), ("change", HOLD), ("release", RELEASE)]


def test_a_late_timer_keeps_classes_held_until_the_schedule_has_begun_and_settled() -> None:
    assert Kernel(begins=400).run()[-1] == ("release", 400 + RELEASE - BEGIN)


def test_a_timer_that_never_comes_holds_classes_for_a_bounded_time() -> None:
    ((_what, when),) = Kernel(begins=10**6).run()[-1:]

    assert when == RELEASE + PATIENCE // NS_PER_MS + RELEASE - BEGIN


def test_a_change_that_was_told_late_is_released_in_the_period_that_the_kernel_takes() -> None:
    assert Kernel(busy=85).run()[-1] == ("release", RELEASE + 2 * PERIOD)


def test_a_refused_change_releases_classes_at_once() -> None:
    assert Kernel(accepts=False).run()[-1] == ("release", HOLD)


def test_classes_are_released_where_the_kernel_does_not_answer() -> None:
    kernel = Kernel()

    def fail() -> bool:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        change_over(
            (0, 1, 2, 3),
            patience=PATIENCE,
            hold=lambda: None,
            change=fail,
            release=lambda: kernel.ask("release"),
            is_pending=lambda: False,
            now=lambda: 0,
            sleep=lambda _seconds: None,
        )

    assert kernel.asked == [("release", 0)]


def dump(index: int, *, pending: bool) -> bytes:
    """As the kernel's: what was set, and the schedule that waits as an attribute of its own."""
    schedule = GateSchedule(entries=(Entry(gates=1, interval=Nanoseconds(NS_PER_MS)),))
    data = replace_request(
        index,
        handle=HANDLE,
        mapping=queue_mapping(4, 4),
        timetable=Timetable(base=NS_PER_S, schedule=schedule),
    )
    if not pending:
        return data
    admin = struct.pack("=HH", 4 + 12, 7) + struct.pack("=HHq", 12, 3, 2 * NS_PER_S)
    head = 16 + 20 + 12
    (length,) = struct.unpack_from("=H", data, head)
    return (
        struct.pack("=I", len(data) + len(admin))
        + data[4:head]
        + struct.pack("=H", length + len(admin))
        + data[head + 2 :]
        + admin
    )


def test_a_schedule_is_pending_while_the_dump_of_its_device_shows_one() -> None:
    waiting = dump(6, pending=False) + dump(7, pending=True)

    assert has_pending(waiting, 7)
    assert not has_pending(waiting, 6)
    assert not has_pending(waiting, 8)
    assert not has_pending(dump(7, pending=False), 7)


@pytest.mark.parametrize(("number", "refused"), [(0, False), (-22, True)])
def test_an_acknowledgement_with_a_number_is_a_refusal(number: int, *, refused: bool) -> None:
    message = struct.pack("=IHHIIi", 20, 2, 0, 1, 0, number)

    assert is_refused(message) is refused
