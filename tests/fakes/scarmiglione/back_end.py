"""A station's kernel in memory, with the hazards of the real one, and a back end on it.

The kernel is told slot by slot, so a process may be killed between any two. Nothing that it takes
is checked: a test finds out whether the daemon has.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from daemons.scarmiglione.network.back_end import (
    AppliedSlot,
    BackEndName,
    Channel,
    ChannelKind,
    Limits,
    Refusal,
    Role,
    StationState,
)
from k40s.errors import KernelError
from k40s.reasons import Reason
from k40s.tdma.model import Cycle, Window
from k40s.units import Nanoseconds


class Killed(BaseException):
    """kill −9: nothing that the process would do afterwards happens."""


@dataclass
class Countdown:
    """Kills the process before its n-th step from now; 0 never does."""

    left: int = 0

    def step(self) -> None:
        if self.left:
            self.left -= 1
            if self.left == 0:
                raise Killed


@dataclass
class FakeKernel:
    """Slots by interface and number. ``steps`` is shared with the store: one process."""

    steps: Countdown = field(default_factory=Countdown)
    slots: dict[str, dict[int, AppliedSlot]] = field(default_factory=dict)
    attached: bool = True
    role: Role | None = Role.STATION
    received: int | None = None
    read_at: int = 0
    wall_at: int = 0
    broken: bool = False
    failing_adds: int = 0
    refuses: Refusal | None = None
    problems: tuple[str, ...] = ()
    writes: int = 0

    def of(self, interface: str) -> dict[int, AppliedSlot]:
        return self.slots.setdefault(interface, {})

    def add(self, interface: str, slot: AppliedSlot) -> None:
        self.steps.step()
        if self.broken or self.failing_adds:
            self.failing_adds -= bool(self.failing_adds)
            raise KernelError("tdma_ioctl: EINVAL")
        assert slot.number not in self.of(interface), "changed in place"
        self.writes += 1
        self.of(interface)[slot.number] = slot

    def drop(self, interface: str, number: int) -> None:
        self.steps.step()
        if self.broken:
            raise KernelError("tdma_ioctl: EBUSY")
        self.writes += 1
        del self.of(interface)[number]


class FakeBackEnd:
    """As RTnet's: channels 2 to ``last``, one for each window. Implements ``SlotBackEnd``."""

    name = BackEndName.TDMACFG

    def __init__(self, kernel: FakeKernel, interface: str, cycle: Cycle, *, last: int = 9) -> None:
        self.kernel = kernel
        self.interface = interface
        self.cycle = cycle
        self.limits = Limits(
            kind=ChannelKind.CHANNEL, first=2, last=last, one_per_window=True, primary_below=last
        )

    def read(self) -> StationState:
        kernel = self.kernel
        if kernel.broken:
            raise KernelError("/proc/rtnet: no answer in 5 s")
        held = kernel.of(self.interface)
        return StationState(
            attached=kernel.attached,
            read_at=Nanoseconds(kernel.read_at),
            wall_at=Nanoseconds(kernel.wall_at),
            role=kernel.role,
            state="active",
            slots=tuple(held[number] for number in sorted(held)) if kernel.attached else (),
            received=kernel.received,
            problems=kernel.problems,
        )

    def holds(self, state: StationState, channel: Channel, windows: Sequence[Window]) -> bool:
        shown = {slot.number: slot for slot in state.slots if slot.number in channel.numbers}
        return list(shown.values()) == _slots(channel, windows)

    def apply(self, channel: Channel, windows: Sequence[Window]) -> Refusal | None:
        state = self.read()
        if self.kernel.refuses is not None:
            return self.kernel.refuses
        if not self.kernel.attached:
            return Refusal(
                reason=Reason.NETWORK_UNHEALTHY, hazard="not-attached", detail=self.interface
            )
        assert all(self.limits.first <= n <= self.limits.last for n in channel.numbers)
        if self.holds(state, channel, windows):
            return None
        before = [slot for slot in state.slots if slot.number in channel.numbers]
        try:
            self._remove(channel)
            for slot in _slots(channel, windows):
                self.kernel.add(self.interface, slot)
        except KernelError:
            self._remove(channel)
            for slot in before:
                self.kernel.add(self.interface, slot)
            raise
        return None

    def remove(self, channel: Channel) -> Refusal | None:
        self._remove(channel)
        return None

    def _remove(self, channel: Channel) -> None:
        for number in reversed(channel.numbers):
            if number in self.kernel.of(self.interface):
                self.kernel.drop(self.interface, number)


class FakePriorities(FakeBackEnd):
    """As taprio's: priorities, however many windows each has, replaced all at once."""

    name = BackEndName.TAPRIO

    def __init__(self, kernel: FakeKernel, interface: str, cycle: Cycle) -> None:
        super().__init__(kernel, interface, cycle)
        self.limits = Limits(kind=ChannelKind.PRIORITY, first=1, last=7, one_per_window=False)

    def holds(self, state: StationState, channel: Channel, windows: Sequence[Window]) -> bool:
        shown = [slot for slot in state.slots if slot.number == channel.number]
        return [(slot.offset, slot.length) for slot in shown] == [
            (window.offset, window.length) for window in windows[:1]
        ]

    def apply(self, channel: Channel, windows: Sequence[Window]) -> Refusal | None:
        if not self.holds(self.read(), channel, windows):
            self._remove(channel)
            first = windows[0]
            self.kernel.add(
                self.interface,
                AppliedSlot(
                    number=channel.number,
                    offset=first.offset,
                    phase=first.phase,
                    every=first.every,
                    length=first.length,
                ),
            )
        return None


MakeFake = Callable[..., FakeBackEnd]


def _slots(channel: Channel, windows: Sequence[Window]) -> list[AppliedSlot]:
    return [
        AppliedSlot(
            number=number,
            offset=window.offset,
            phase=window.phase,
            every=window.every,
            payload=window.payload,
            joins=None if number == channel.number else channel.number,
        )
        for number, window in zip(channel.numbers, windows, strict=True)
    ]
