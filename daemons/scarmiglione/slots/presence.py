"""How much of a slot a station's kernel holds, and which numbers of it are the pod's own. Pure."""

from dataclasses import dataclass
from enum import Enum

from daemons.scarmiglione.network.back_end import (
    AppliedSlot,
    Channel,
    SlotBackEnd,
    StationState,
)
from daemons.scarmiglione.slots.entry import HeldSlot
from k40s.tdma.model import Window


class Presence(Enum):
    """``PART``: some of the windows, as they should be. ``ALTERED``: its numbers hold others."""

    WHOLE = "whole"
    PART = "part"
    ABSENT = "absent"
    ALTERED = "altered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """``own`` are the numbers that hold what the book says; None when none does."""

    presence: Presence
    own: Channel | None = None


def find_slot(back_end: SlotBackEnd, state: StationState, slot: HeldSlot) -> Found:
    """Compare a slot with what was read back."""
    channel = slot.channel
    present = [number for number in channel.numbers if number in state.taken]
    if not present:
        return Found(presence=Presence.ABSENT)
    if back_end.holds(state, channel, slot.windows):
        return Found(presence=Presence.WHOLE, own=channel)
    if not back_end.limits.one_per_window:
        return Found(presence=Presence.ALTERED)
    own = _matching(state, slot)
    presence = Presence.PART if own == present else Presence.ALTERED
    return Found(presence=presence, own=_channel(channel, own))


def _matching(state: StationState, slot: HeldSlot) -> list[int]:
    """Numbers that hold their window, whatever became of the others."""
    wanted = dict(zip(slot.channel.numbers, slot.windows, strict=False))
    return [
        number
        for number in slot.channel.numbers
        if any(one.number == number and shows(one, wanted[number]) for one in state.slots)
    ]


def shows(applied: AppliedSlot, window: Window) -> bool:
    """Whether a slot that was read back is this window, by what its kernel shows."""
    return (applied.offset, applied.phase, applied.every) == (
        window.offset,
        window.phase,
        window.every,
    ) and applied.payload in (None, window.payload)


def _channel(channel: Channel, numbers: list[int]) -> Channel | None:
    if not numbers:
        return None
    return Channel(number=numbers[0], kind=channel.kind, joined=tuple(numbers[1:]))
