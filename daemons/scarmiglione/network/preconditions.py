"""What must hold before a station is told anything. Pure.

RTnet's kernel checks almost nothing: each hazard below froze or broke a running network when it
was tried on Linux 6.6 with Xenomai 3.3.1. Every back end asks here first; ``ioctl`` checks its
structure once more. A period of 0, a phase that never comes and an offset finer than a microsecond
need no check here: no ``Window`` can be constructed with them. What takes raw numbers, RTnet's
``orders`` and commands, refuses them as well.
"""

from collections.abc import Iterator, Sequence
from math import gcd

from daemons.scarmiglione.network.back_end import (
    AppliedSlot,
    Channel,
    Limits,
    Refusal,
    Role,
    StationState,
)
from daemons.scarmiglione.network.hazards import Hazard, refuse
from k40s.tdma.model import SMALLEST_PAYLOAD, Cycle, Window
from k40s.units import NS_PER_MS, NS_PER_S, Nanoseconds

DEFAULT_SLOTS = frozenset({0, 1})
"""0 sends what has no other channel (ARP, RTcfg), 1 the ordinary traffic; the operator's."""
SYNC_CYCLES = 3
"""For how many cycles the receive counter is watched before a station is trusted."""
HEADER = 38
"""Bytes that a packet takes on the wire besides its payload: preamble, header, FCS, gap."""
_SHORTEST = 46
_TOLERANCE = Nanoseconds(NS_PER_MS)
_SLEW = 10
"""A clock that is slewed changes by less than a tenth of what passes (chrony: 8.3 %)."""


def airtime(payload: int, bit_rate: int) -> Nanoseconds:
    """Time on the wire of one packet, rounded up; shorter ones are padded."""
    bits = (max(payload, _SHORTEST) + HEADER) * 8
    return Nanoseconds(-(-bits * NS_PER_S // bit_rate))


def check_windows(windows: Sequence[Window], cycle: Cycle) -> Refusal | None:
    """Whether each window fits into the cycle: its end, and its size."""
    return next((one for window in windows for one in _window_hazards(window, cycle)), None)


def _window_hazards(window: Window, cycle: Cycle) -> Iterator[Refusal]:
    if not SMALLEST_PAYLOAD <= window.payload <= cycle.mtu:
        yield refuse(
            Hazard.PAYLOAD_BOUNDS,
            f"{window.payload} bytes are not in {SMALLEST_PAYLOAD}..{cycle.mtu}",
        )
    end = window.offset + max(window.length, airtime(window.payload, cycle.bit_rate))
    if end > cycle.period:
        yield refuse(
            Hazard.OFFSET_PAST_CYCLE,
            f"from {window.offset} to {end} ns is not inside a cycle of {cycle.period} ns",
        )


def check_channel(channel: Channel, windows: Sequence[Window], limits: Limits) -> Refusal | None:
    """Whether the station's table has these ids, and they may be given and joined."""
    return next(_channel_hazards(channel, windows, limits), None)


def _channel_hazards(
    channel: Channel, windows: Sequence[Window], limits: Limits
) -> Iterator[Refusal]:
    if channel.kind is not limits.kind:
        yield refuse(Hazard.CHANNEL_MISFIT, f"a {channel.kind} is no {limits.kind}")
    needed = len(windows) if limits.one_per_window else 1
    if not windows or len(channel.numbers) != needed:
        yield refuse(
            Hazard.CHANNEL_MISFIT, f"{len(channel.numbers)} numbers for {len(windows)} windows"
        )
    yield from check_numbers(channel, limits)
    if channel.joined and limits.primary_below is not None:
        if channel.number >= limits.primary_below:
            yield refuse(
                Hazard.JOINT_PRIMARY,
                f"{channel.number} cannot be joined: it is not below {limits.primary_below}",
            )
        if len({window.payload for window in windows}) > 1:
            yield refuse(Hazard.JOINT_SIZES, "slots that share a queue have the same size")


def check_numbers(channel: Channel, limits: Limits) -> Iterator[Refusal]:
    """Why ids are not for pods: past the table, or the operator's."""
    for number in channel.numbers:
        if number > limits.last:
            yield refuse(
                Hazard.CHANNEL_PAST_TABLE,
                f"{number} is past the table, whose last is {limits.last}",
            )
        elif number < limits.first:
            yield refuse(Hazard.CHANNEL_RESERVED, f"{number} is not for pods: removing it cuts off")


def check_overlap(
    windows: Sequence[Window], others: Sequence[AppliedSlot], cycle: Cycle
) -> Refusal | None:
    """Whether windows overlap one another, or slots that the station has besides.

    Exact for every cycle number: two slots meet iff their phases agree modulo the greatest common
    divisor of their periods, and their times in the cycle overlap.
    """
    spans = [(w.offset, w.offset + w.length, w.phase, w.every) for w in windows]
    held = [
        (s.offset, s.offset + airtime(s.payload or 0, cycle.bit_rate), s.phase, s.every)
        for s in others
    ]
    for index, one in enumerate(spans):
        for other in (*spans[:index], *held):
            same_cycle = (one[2] - other[2]) % gcd(one[3], other[3]) == 0
            if same_cycle and one[0] < other[1] and other[0] < one[1]:
                return refuse(
                    Hazard.SLOT_OVERLAP, f"{one[0]}..{one[1]} ns meets {other[0]}..{other[1]} ns"
                )
    return None


def check_station(state: StationState, cycle: Cycle) -> Refusal | None:
    """Whether a station takes slots of this cycle, as far as one look tells."""
    if not state.attached:
        return refuse(Hazard.NOT_ATTACHED, "the interface is not attached to a TDMA network")
    if state.cycle is not None and state.cycle != cycle.period:
        return refuse(
            Hazard.CYCLE_DIFFERS,
            f"the station's cycle is {state.cycle} ns, the Network's {cycle.period} ns",
        )
    return None


def sends_sync(state: StationState) -> bool:
    """Whether the station is the one whose Sync others wait for."""
    return state.role is Role.MASTER or (state.role is Role.BACKUP and state.state == "active")


def sync_arrives(before: StationState, after: StationState, cycle: Cycle) -> bool | None:
    """Whether Sync arrived between two looks; None when they are less than two cycles apart.

    A station's own state stays ``active`` when the master is gone, so the receive counter is asked:
    half of the Syncs that were due must be in it. Other traffic counts as well; without a master
    there is next to none, because no station sends.
    """
    cycles = (after.read_at - before.read_at) // cycle.period
    if cycles < 2:  # noqa: PLR2004  # one may have just been missed
        return None
    if before.received is None or after.received is None:
        return False
    return after.received - before.received >= cycles // 2


def clock_step(before: StationState, after: StationState) -> Nanoseconds:
    """By how much ``CLOCK_REALTIME`` jumped between two looks; 0 where it was only slewed.

    A step forwards makes the master send Syncs in a burst, a step backwards none for as long.
    """
    passed = after.read_at - before.read_at
    jump = (after.wall_at - before.wall_at) - passed
    return Nanoseconds(0 if abs(jump) <= _TOLERANCE + passed // _SLEW else jump)


def check_pair(before: StationState, after: StationState, cycle: Cycle) -> Refusal | None:
    """Whether two looks show a station that a slot may be added to without blocking it.

    The first slot is calibrated against the master's Sync. Without a master that waits for ever,
    and holds the lock that every read of /proc/rtnet needs.
    """
    if step := clock_step(before, after):
        return refuse(Hazard.CLOCK_STEP, f"the clock was stepped by {step} ns")
    if not sends_sync(after) and not sync_arrives(before, after, cycle):
        return refuse(
            Hazard.NO_SYNC,
            f"{_shown(before.received)} to {_shown(after.received)} packets received in "
            f"{after.read_at - before.read_at} ns: no master sends Sync",
        )
    return None


def _shown(count: int | None) -> str:
    return "?" if count is None else str(count)


def check_joined_by_others(channel: Channel, slots: Sequence[AppliedSlot]) -> Refusal | None:
    """Whether slots of other channels share the queue of one that is to be removed."""
    numbers = set(channel.numbers)
    for slot in slots:
        if slot.joins in numbers and slot.number not in numbers:
            return refuse(
                Hazard.JOINED_BY_OTHERS, f"slot {slot.number} shares the queue of {slot.joins}"
            )
    return None
