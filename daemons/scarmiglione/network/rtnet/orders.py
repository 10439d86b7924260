"""What a station of RTnet is told: slots by id. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from daemons.scarmiglione.network.back_end import AppliedSlot, Channel
from k40s.tdma.model import SMALLEST_PAYLOAD, Window
from k40s.units import Nanoseconds

_LONGEST_PERIOD = 2**32 - 1
"""In cycles. The kernel has 32 bits for it, and would take the next longer one for 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotOrder:
    """One slot that a station is to add: what both back ends of RTnet are told.

    ``phase`` counts from 0; ``joins`` is the primary's id. Constructing it is the last check.
    """

    number: int
    offset: Nanoseconds
    phase: int
    every: int
    payload: int
    joins: int | None = None

    def __post_init__(self) -> None:
        if self.number < 0 or self.offset < 0 or not 1 <= self.every <= _LONGEST_PERIOD:
            raise ValueError(f"no slot that a kernel survives: {self}")
        if not 0 <= self.phase < self.every or self.payload < SMALLEST_PAYLOAD:
            raise ValueError(f"no slot that ever sends: {self}")
        if self.joins is not None and not 0 <= self.joins != self.number:
            raise ValueError(f"joins no other slot: {self}")

    def is_like(self, slot: AppliedSlot) -> bool:
        """Whether a slot read back is this one."""
        return (
            (slot.number, slot.joins, slot.phase, slot.every, slot.payload)
            == (self.number, self.joins, self.phase, self.every, self.payload)
        ) and slot.offset == self.offset


def orders(channel: Channel, windows: Sequence[Window]) -> tuple[SlotOrder, ...]:
    """The slots of a channel, the primary first. Only for windows that ``check_windows`` passed."""
    return tuple(
        SlotOrder(
            number=number,
            offset=window.offset,
            phase=window.phase,
            every=window.every,
            payload=window.payload,
            joins=None if number == channel.number else channel.number,
        )
        for number, window in zip(channel.numbers, windows, strict=True)
    )
