"""Chooses channels for a pod's slots, or finds those that the kernel already holds for it."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from daemons.scarmiglione.network.back_end import Channel, SlotBackEnd, StationState
from daemons.scarmiglione.slots.entry import HeldSlot
from daemons.scarmiglione.slots.presence import shows
from daemons.scarmiglione.station.stations import Station, StationKey
from k40s.node_api.network_messages import RequestedSlot
from k40s.reasons import Reason
from k40s.tdma.model import Window

Taken = Mapping[StationKey, AbstractSet[int]]
"""Numbers that must not be used again, by station."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why a pod's slots are not set up."""

    reason: Reason
    detail: str = ""


def choose_channels(
    wanted: Iterable[tuple[RequestedSlot, Station]],
    *,
    states: Mapping[StationKey, StationState],
    taken: Taken,
    told: Sequence[int | None] = (),
) -> tuple[HeldSlot, ...] | Rejection:
    """Channels for all slots of a pod, or for none.

    ``taken`` are the numbers in the book. ``told`` are the channels that a running pod was told, in
    the order of ``wanted``: what the kernel holds there for it is taken over.
    """
    chosen: list[HeldSlot] = []
    for index, (slot, station) in enumerate(wanted):
        mine = {n for one in chosen if one.station == station.key for n in one.channel.numbers}
        others = taken.get(station.key, frozenset()) | mine
        state = states[station.key]
        channel = None
        if told:
            preferred = told[index] if index < len(told) else None
            channel = _take_over(station.back_end, state, slot.windows, others, preferred)
        channel = channel or station.back_end.limits.find_channel(
            state.taken | others, len(slot.windows)
        )
        if channel is None:
            return Rejection(reason=Reason.NETWORK_NO_CHANNEL, detail=f"on {slot.network}")
        chosen.append(
            HeldSlot(
                network=slot.network,
                interface=station.key.interface,
                back_end=station.back_end.name,
                windows=slot.windows,
                channel=channel,
            )
        )
    return tuple(chosen)


def _take_over(
    back_end: SlotBackEnd,
    state: StationState,
    windows: Sequence[Window],
    others: AbstractSet[int],
    preferred: int | None,
) -> Channel | None:
    """The channel that holds these windows already, or the one that the pod was told if free."""
    limits = back_end.limits
    primaries = [one.number for one in state.slots if one.joins is None]
    for number in primaries if preferred is None else [preferred]:
        if number in others or not limits.first <= number <= limits.last:
            continue
        channel = _shown_channel(back_end, state, windows, number)
        if channel is not None and others.isdisjoint(channel.numbers):
            return channel
    if preferred is None or preferred in state.taken | others:
        return None
    if not limits.first <= preferred <= limits.last:
        return None
    if not limits.one_per_window or len(windows) == 1:
        return Channel(number=preferred, kind=limits.kind)
    rest = limits.find_channel(state.taken | others | {preferred}, len(windows) - 1)
    return (
        None if rest is None else Channel(number=preferred, kind=limits.kind, joined=rest.numbers)
    )


def _shown_channel(
    back_end: SlotBackEnd, state: StationState, windows: Sequence[Window], number: int
) -> Channel | None:
    """The channel with this primary, if the kernel holds all of these windows through it."""
    limits = back_end.limits
    joined: list[int] = []
    if limits.one_per_window:
        for window in windows[1:]:
            match = next(
                (
                    one.number
                    for one in state.slots
                    if one.joins == number and one.number not in joined and shows(one, window)
                ),
                None,
            )
            if match is None:
                return None
            joined.append(match)
    channel = Channel(number=number, kind=limits.kind, joined=tuple(joined))
    return channel if back_end.holds(state, channel, windows) else None
