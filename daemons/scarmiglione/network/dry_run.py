"""A table without a kernel: only where the operator names this back end. Nothing is enforced."""

from collections.abc import Sequence

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
from daemons.scarmiglione.network.clocks import Clocks
from daemons.scarmiglione.network.preconditions import (
    DEFAULT_SLOTS,
    check_channel,
    check_numbers,
    check_overlap,
    check_windows,
)
from k40s.tdma.model import Cycle, Window
from k40s.units import Nanoseconds

NOT_ENFORCED = "back end none: slots are written down, and nothing keeps a pod to them"


class DryRunBackEnd:
    """Remembers slots for as long as the process lives; ids as on a station of RTnet."""

    def __init__(self, *, interface: str, cycle: Cycle, last: int, clocks: Clocks) -> None:
        self._interface = interface
        self._cycle = cycle
        self._clocks = clocks
        self._slots: dict[int, AppliedSlot] = {}
        self._limits = Limits(
            kind=ChannelKind.CHANNEL,
            first=max(DEFAULT_SLOTS) + 1,
            last=last,
            one_per_window=True,
            primary_below=last,
            enforced=False,
        )

    @property
    def name(self) -> BackEndName:
        """``none``."""
        return BackEndName.NONE

    @property
    def interface(self) -> str:
        """As the Network says; it need not exist."""
        return self._interface

    @property
    def limits(self) -> Limits:
        """Not enforced, as they say."""
        return self._limits

    def read(self) -> StationState:
        """What was applied, and a problem that says what that is worth."""
        return StationState(
            attached=True,
            read_at=Nanoseconds(self._clocks.monotonic()),
            wall_at=Nanoseconds(self._clocks.wall()),
            role=Role.STATION,
            state="dry-run",
            slots=tuple(self._slots[number] for number in sorted(self._slots)),
            problems=(NOT_ENFORCED,),
        )

    def holds(self, state: StationState, channel: Channel, windows: Sequence[Window]) -> bool:
        """Whether the table has exactly these."""
        shown = {slot for slot in state.slots if slot.number in channel.numbers}
        return len(channel.numbers) == len(windows) and shown == set(_slots(channel, windows))

    def apply(self, channel: Channel, windows: Sequence[Window]) -> Refusal | None:
        """Write them down, after the same checks as on RTnet."""
        others = [slot for slot in self._slots.values() if slot.number not in channel.numbers]
        refusal = (
            check_windows(windows, self._cycle)
            or check_channel(channel, windows, self._limits)
            or check_overlap(windows, others, self._cycle)
        )
        if refusal is None:
            self._slots |= {slot.number: slot for slot in _slots(channel, windows)}
        return refusal

    def remove(self, channel: Channel) -> Refusal | None:
        """Strike them out."""
        refusal = next(check_numbers(channel, self._limits), None)
        if refusal is None:
            for number in channel.numbers:
                self._slots.pop(number, None)
        return refusal


def _slots(channel: Channel, windows: Sequence[Window]) -> list[AppliedSlot]:
    return [
        AppliedSlot(
            number=number,
            offset=window.offset,
            phase=window.phase,
            every=window.every,
            payload=window.payload,
            length=window.length,
            joins=None if number == channel.number else channel.number,
        )
        for number, window in zip(channel.numbers, windows, strict=True)
    ]
