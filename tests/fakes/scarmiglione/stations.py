"""Fake stations: RTnet by command and by ioctl, a device with gates; and their clocks."""

import errno
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from daemons.scarmiglione.network.clocks import Clocks
from daemons.scarmiglione.network.rtnet.ioctl import (
    REMOVE_SLOT,
    SET_SLOT,
    TdmaConfig,
)
from daemons.scarmiglione.network.taprio.changeover import Changeover, Timetable
from daemons.scarmiglione.network.taprio.device import Facts
from daemons.scarmiglione.network.taprio.messages import (
    CLOCK_TAI,
    Mapping,
    Qdisc,
    Taprio,
)
from daemons.scarmiglione.network.taprio.rtnetlink_child import change_over
from k40s.errors import KernelError
from k40s.units import NS_PER_MS, NS_PER_S
from tests.fakes.scarmiglione.rtnet import BlockedError, FakeRtnet

_SCRIPT = """\
#!{python} -IS
import sys
sys.path.insert(0, {folder!r})
from pathlib import Path
from rtnet import tdmacfg
sys.exit(tdmacfg(Path({root!r}), sys.argv[1:]))
"""


class FakeTime:
    """Clocks that stand still but for waits; ``each`` is called with the seconds of each."""

    def __init__(self, each: Callable[[float], object] = lambda _seconds: None) -> None:
        self.now = 1_000 * NS_PER_S
        self.step = 0
        """Of the wall clock, when it is next waited."""
        self.wall_offset = 700 * NS_PER_S
        self.waited: list[float] = []
        self._each = each

    @property
    def clocks(self) -> Clocks:
        return Clocks(
            monotonic=lambda: self.now,
            wall=lambda: self.now + self.wall_offset,
            tai=lambda: self.now + 37 * NS_PER_S,
        )

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.now += round(seconds * NS_PER_S)
        self.wall_offset += self.step
        self.step = 0
        self._each(seconds)


def install_tdmacfg(rtnet: FakeRtnet) -> Path:
    """The executable, for the station in ``rtnet.root``."""
    path = rtnet.root / "tdmacfg"
    folder = str(Path(__file__).parent)
    path.write_text(
        _SCRIPT.format(python=sys.executable, folder=folder, root=str(rtnet.root)),
        encoding="utf-8",
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def fake_ioctl(rtnet: FakeRtnet) -> Callable[[int, bytes], int]:
    """``/dev/rtnet``: reads the structure as the kernel does, and checks as little."""

    def call(request: int, argument: bytes) -> int:
        config = TdmaConfig.from_buffer_copy(argument)
        if config.if_name != b"rteth0":
            return errno.ENODEV
        try:
            return _dispatch(rtnet, request, config)
        except BlockedError as error:
            raise KernelError("no end after 5 s: ioctl") from error

    return call


def _dispatch(rtnet: FakeRtnet, request: int, config: TdmaConfig) -> int:
    arguments = config.arguments
    if request == SET_SLOT:
        slot = arguments.set_slot
        return rtnet.set_slot(
            slot.id,
            offset=slot.offset,
            phasing=slot.phasing,
            period=slot.period,
            size=slot.size,
            joint=slot.joint_slot,
        )
    if request == REMOVE_SLOT:
        return rtnet.remove_slot(arguments.remove_slot.id)
    return errno.ENOTTY


@dataclass
class FakeGateDevice:
    """A device with several queues. A schedule waits for its base time, as in the kernel."""

    time: FakeTime
    queues: int = 4
    bit_rate: int = 1_000_000_000
    up: bool = True
    root_qdisc: Qdisc = field(default_factory=lambda: Qdisc(kind="mq", handle=0))
    refusals: list[str] = field(default_factory=list)
    """Texts with which the next schedules are refused; an empty one is taken."""
    never_begins: int = 0
    """How many schedules are taken, and never run."""
    late: int = 0
    """By how many ns schedules begin later than they were told."""
    history: list[Timetable] = field(default_factory=list)
    changeovers: list[Changeover] = field(default_factory=list)
    held: list[int] = field(default_factory=list)
    """When classes were held, and when they were let go; ``CLOCK_TAI``."""
    let_go: list[int] = field(default_factory=list)
    released: int = 0
    complete: bool = True
    """Whether the last installation came to its end."""
    carrier_changes: int = 2

    def facts(self) -> Facts | None:
        if not self.up:
            return None
        return Facts(
            queues=self.queues,
            bit_rate=self.bit_rate,
            mtu=1500,
            received=7,
            carrier_changes=self.carrier_changes,
        )

    def root(self) -> Qdisc | None:
        self._begin()
        return self.root_qdisc if self.up else None

    def install(self, *, handle: int, mapping: Mapping, table: Timetable) -> None:
        self._set(handle, mapping, table)

    def change(
        self, *, handle: int, mapping: Mapping, table: Timetable, changeover: Changeover
    ) -> None:
        """The child's own steps, with this kernel and this time."""
        self.changeovers.append(changeover)
        times = (changeover.hold_at, changeover.begin, changeover.release_at, table.schedule.period)
        change_over(
            times,
            patience=2 * NS_PER_S,
            hold=lambda: self.held.append(self.time.clocks.tai()),
            change=lambda: self._set(handle, mapping, table),
            release=lambda: self.let_go.append(self.time.clocks.tai()),
            is_pending=self._is_pending,
            now=self.time.clocks.tai,
            sleep=self.time.wait,
        )

    def uninstall(self, *, handle: int) -> None:
        assert self.root_qdisc.handle == handle
        self.root_qdisc = Qdisc(kind="mq", handle=0)

    def release(self, *, handle: int, mapping: Mapping) -> bool:
        del handle, mapping
        self.released += 1
        return self.complete

    def _is_pending(self) -> bool:
        self._begin()
        taprio = self.root_qdisc.taprio
        return taprio is not None and taprio.pending is not None

    def _set(self, handle: int, mapping: Mapping, table: Timetable) -> bool:
        self._begin()
        if self.refusals and (refusal := self.refusals.pop(0)):
            raise KernelError(refusal)
        present = self.root_qdisc.taprio
        if present is not None and present.mapping != mapping:
            raise KernelError(
                "errno 95: Changing the traffic mapping of a running schedule is not supported."
            )
        shortest = -(-60 * 8 * NS_PER_S // self.bit_rate)
        if any(entry.interval < shortest for entry in table.schedule.entries):
            raise KernelError("errno 22: Invalid interval for schedule entry.")
        if table.base <= self.time.clocks.tai():
            raise KernelError("the base time has passed: the fake does not count on")
        self.history.append(table)
        table = replace(table, base=table.base + self.late)
        taprio = present or Taprio(
            mapping=mapping, clock=CLOCK_TAI, flags=0, running=None, pending=None
        )
        self.root_qdisc = Qdisc(kind="taprio", handle=handle, taprio=replace(taprio, pending=table))
        return True

    def _begin(self) -> None:
        taprio = self.root_qdisc.taprio
        if taprio is None or taprio.pending is None:
            return
        if self.time.clocks.tai() < taprio.pending.base:
            return
        if self.never_begins:
            self.never_begins -= 1
            begun = replace(taprio, pending=None)
        else:
            begun = replace(taprio, running=taprio.pending, pending=None)
        self.root_qdisc = replace(self.root_qdisc, taprio=begun)


def attached(root: Path, *, role: str = "slave", cycle: int = 5 * NS_PER_MS) -> FakeRtnet:
    """A station with the operator's slots 0 and 1 early in the cycle, and a table of 16."""
    rtnet = FakeRtnet(root, cycle=cycle)
    rtnet.change(sync=role != "master")
    assert rtnet.attach(role, cycle=cycle, last=15, backup=100_000 if role == "backup" else 0) == 0
    for number, offset in ((0, 200_000), (1, 400_000)):
        assert rtnet.set_slot(number, offset=offset, phasing=0, period=1, size=1500) == 0
    rtnet.change(vnic_mtu=1496, vnic_max=1496)
    return rtnet


CHARACTER_DEVICE = Path(os.devnull)
"""Stands for /dev/rtnet where it only has to be there."""
