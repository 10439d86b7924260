"""Slots on a station of RTnet, whether by command or by ioctl.

Everything that RTnet's kernel does not check is checked here, before and after: ``preconditions``.
A slot is never changed in place, because the kernel does not sort it again.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from daemons.scarmiglione.network.back_end import (
    AppliedSlot,
    BackEndName,
    Channel,
    ChannelKind,
    Limits,
    Refusal,
    StationState,
)
from daemons.scarmiglione.network.preconditions import (
    DEFAULT_SLOTS,
    SYNC_CYCLES,
    check_channel,
    check_joined_by_others,
    check_numbers,
    check_overlap,
    check_pair,
    check_station,
    check_windows,
)
from daemons.scarmiglione.network.rtnet.orders import SlotOrder, orders
from daemons.scarmiglione.network.rtnet.proc_rtnet import VNIC_HEADER, RtnetFiles, ordinary_slot
from k40s.errors import KernelError
from k40s.tdma.model import Cycle, Window
from k40s.units import NS_PER_S

_WATCH_SECONDS = 0.2
"""At least for how long Sync is watched, so that a late read does not decide."""
_RESETS = 2
"""The kernel takes over a larger MTU when the same slot is set for the second time."""

Wait = Callable[[float], object]


class SlotCommands(Protocol):
    """How RTnet is told. Every method raises ``KernelError``, and ends within its time limit."""

    @property
    def name(self) -> BackEndName:
        """Which one it is."""
        ...

    def add(self, interface: str, order: SlotOrder) -> None:
        """Set a slot that is not there, or exactly as it is."""
        ...

    def remove(self, interface: str, number: int) -> None:
        """Remove a slot that is there."""
        ...


class RtnetBackEnd:
    """One interface on one network. ``last`` is the largest slot id of the station's table.

    RTnet does not show it: the operator says what the interface was attached with (``-i``).
    """

    def __init__(
        self,
        *,
        interface: str,
        cycle: Cycle,
        last: int,
        files: RtnetFiles,
        commands: SlotCommands,
        wait: Wait,
    ) -> None:
        self._interface = interface
        self._cycle = cycle
        self._files = files
        self._commands = commands
        self._wait = wait
        self._limits = Limits(
            kind=ChannelKind.CHANNEL,
            first=max(DEFAULT_SLOTS) + 1,
            last=last,
            one_per_window=True,
            primary_below=last,
        )

    @property
    def name(self) -> BackEndName:
        """``tdmacfg`` or ``ioctl``."""
        return self._commands.name

    @property
    def interface(self) -> str:
        """The real-time interface, such as ``rteth0``."""
        return self._interface

    @property
    def limits(self) -> Limits:
        """Slot ids from 2 up to the table's last."""
        return self._limits

    def read(self) -> StationState:
        """One look at /proc/rtnet."""
        return self._files.read(self._interface)

    def holds(self, state: StationState, channel: Channel, windows: Sequence[Window]) -> bool:
        """Whether a state shows each slot of the channel as ordered."""
        shown = _slots_of(channel, state.slots)
        if len(channel.numbers) != len(windows) or check_windows(windows, self._cycle):
            return False
        wanted = orders(channel, windows)
        return len(shown) == len(wanted) and all(
            any(order.is_like(slot) for slot in shown) for order in wanted
        )

    def apply(self, channel: Channel, windows: Sequence[Window]) -> Refusal | None:
        """As the protocol says; a first slot without Sync is refused, not waited for."""
        before = self.read()
        others = [slot for slot in before.slots if slot.number not in channel.numbers]
        refusal = (
            check_windows(windows, self._cycle)
            or check_channel(channel, windows, self._limits)
            or check_station(before, self._cycle)
            or check_overlap(windows, others, self._cycle)
        )
        if refusal is not None or self.holds(before, channel, windows):
            return refusal
        present = _slots_of(channel, before.slots)
        refusal = check_joined_by_others(channel, before.slots) or check_pair(
            before, self._look_again(), self._cycle
        )
        if refusal is None:
            self._replace(channel, present, orders(channel, windows))
            self._restore_vnic(before)
        return refusal

    def remove(self, channel: Channel) -> Refusal | None:
        """As the protocol says; a station that is not attached has no slots."""
        state = self.read()
        refusal = next(check_numbers(channel, self._limits), None) or check_joined_by_others(
            channel, state.slots
        )
        if refusal is None:
            self._remove(_slots_of(channel, state.slots))
            if left := _slots_of(channel, self.read().slots):
                raise KernelError(f"{self._interface}: removed, and still there: {left}")
        return refusal

    def _look_again(self) -> StationState:
        self._wait(max(_WATCH_SECONDS, SYNC_CYCLES * self._cycle.period / NS_PER_S))
        return self.read()

    def _replace(
        self, channel: Channel, present: Sequence[AppliedSlot], wanted: Sequence[SlotOrder]
    ) -> None:
        """Remove, add, read back and compare; when anything fails, as it was before."""
        try:
            self._remove(present)
            for order in wanted:
                self._commands.add(self._interface, order)
            self._compare(channel, wanted)
        except KernelError as error:
            self._undo(channel, present, error)
            raise

    def _compare(self, channel: Channel, wanted: Sequence[SlotOrder]) -> None:
        shown = _slots_of(channel, self.read().slots)
        for order in wanted:
            if not any(order.is_like(slot) for slot in shown):
                raise KernelError(f"{self._interface}: set {order}, and it shows {shown}")

    def _undo(self, channel: Channel, former: Sequence[AppliedSlot], error: KernelError) -> None:
        """Whatever the channel has at present goes, and what it had comes back, primary first."""
        try:
            self._remove(_slots_of(channel, self.read().slots))
            for slot in sorted(former, key=lambda slot: slot.joins is not None):
                self._commands.add(self._interface, _order(slot))
        except KernelError as second:
            raise KernelError(
                f"{error}; undoing it failed too, and slots of {channel.numbers} may be left: "
                f"{second}"
            ) from error

    def _remove(self, slots: Iterable[AppliedSlot]) -> None:
        """Those that join others first: a queue goes last."""
        for slot in sorted(slots, key=lambda slot: slot.joins is None):
            self._commands.remove(self._interface, slot.number)

    def _restore_vnic(self, before: StationState) -> None:
        """Set the slot of ordinary traffic again, as it is, when another one shrank the MTU.

        What cannot be restored is a problem in every state that is read.
        """
        for _ in range(_RESETS):
            state = self.read()
            slot = ordinary_slot(state.slots)
            if slot is None or slot.payload is None or state.vnic_mtu is None:
                return
            if state.vnic_mtu >= min(before.vnic_mtu or 0, slot.payload - VNIC_HEADER):
                return
            self._commands.add(self._interface, _order(slot))


def _slots_of(channel: Channel, slots: Iterable[AppliedSlot]) -> list[AppliedSlot]:
    return [slot for slot in slots if slot.number in channel.numbers]


def _order(slot: AppliedSlot) -> SlotOrder:
    return SlotOrder(
        number=slot.number,
        offset=slot.offset,
        phase=slot.phase,
        every=slot.every,
        payload=slot.payload or 0,
        joins=slot.joins,
    )
