"""What a request becomes on a cycle: how many slots, how long, how often.

A station can send every k-th cycle, or n times in each cycle, and nothing in between. A period that
is neither is rounded down to one that is, so that the pod is served more often than it asked for.
All slots of a request have the same size, because a station lets only such slots share a queue.
"""

from dataclasses import dataclass

from k40s.tdma.model import OFFSET_STEP, SMALLEST_PAYLOAD, Cycle, SlotRequest
from k40s.tdma.wire import FRAME_OVERHEAD, bytes_within, time_of, whole_us_up, wire_bytes, wire_time
from k40s.units import Nanoseconds

MOST_SLOTS = 60
"""Of one request. A station's table of slots has 64 places, of which others need some too."""
LONGEST_EVERY = 4_096
"""Cycles between two uses of a slot; a longer period is served as often as this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """The slots of a request, but for their place.

    ``frames`` contiguous slots, ``repeats`` times in each ``every``-th cycle, ``spacing`` apart.
    One of ``every`` and ``repeats`` is 1. ``length`` is kept free for each slot; ``stride`` is from
    one contiguous slot to the next.
    """

    every: int
    repeats: int
    spacing: Nanoseconds
    frames: int
    payload: int
    length: Nanoseconds
    stride: Nanoseconds

    @property
    def block(self) -> Nanoseconds:
        """From the first contiguous slot's begin to the last one's end."""
        return Nanoseconds((self.frames - 1) * self.stride + self.length)

    @property
    def period(self) -> Nanoseconds:
        """The period that the pod gets: at most the one that it asked for."""
        return Nanoseconds(self.every * self.spacing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inexpressible:
    """No slots can be what is asked for. ``nearest`` can, or is None where nothing can.

    ``because`` says which of payload, length and period it is.
    """

    because: str
    nearest: SlotRequest | None


def express(cycle: Cycle, request: SlotRequest, *, jitter: int = 0) -> Expression | Inexpressible:
    """The slots of a request. ``jitter`` in ns is how late the station's packets may leave."""
    if request.payload is not None and request.payload > cycle.mtu:
        smaller = SlotRequest(period=request.period, payload=cycle.mtu)
        found = express(cycle, smaller, jitter=jitter)
        return Inexpressible(
            because=f"payload: one packet holds at most {cycle.mtu} bytes",
            nearest=found.nearest if isinstance(found, Inexpressible) else smaller,
        )
    frames, payload = _frames(cycle, request)
    length = Nanoseconds(wire_time(payload, cycle.bit_rate) + cycle.guard + jitter)
    stride = whole_us_up(length)
    block = (frames - 1) * stride + length
    room = cycle.period - whole_us_up(cycle.sync_time)
    if frames > MOST_SLOTS or block > room:
        return _too_long(cycle, request, jitter)
    every, repeats = _often(cycle, request.period, frames)
    spacing = cycle.period // repeats
    if every == 0 or block > spacing - (cycle.period - room):
        shortest = _shortest_period(cycle, frames, block)
        return Inexpressible(
            because="period: too short for a slot of this length in each part of the cycle",
            nearest=SlotRequest(period=shortest, length=request.length, payload=request.payload),
        )
    return Expression(
        every=every,
        repeats=repeats,
        spacing=Nanoseconds(spacing),
        frames=frames,
        payload=payload,
        length=length,
        stride=stride,
    )


def _frames(cycle: Cycle, request: SlotRequest) -> tuple[int, int]:
    """How many packets of which size: of one size, together at least the length asked for."""
    if request.payload is not None:
        return 1, max(SMALLEST_PAYLOAD, request.payload)
    asked = max(1, bytes_within(request.length or 0, cycle.bit_rate))
    frames = -(-asked // wire_bytes(cycle.mtu))
    return frames, max(SMALLEST_PAYLOAD, -(-asked // frames) - FRAME_OVERHEAD)


def _often(cycle: Cycle, period: int, frames: int) -> tuple[int, int]:
    """``every`` and ``repeats`` for the longest period up to this one; (0, 1) where none is."""
    if period >= cycle.period:
        return min(period // cycle.period, LONGEST_EVERY), 1
    fewest = -(-cycle.period // period)
    found = next((n for n in _repeats(cycle, frames) if n >= fewest), None)
    return (0, 1) if found is None else (1, found)


def _repeats(cycle: Cycle, frames: int) -> list[int]:
    """How often a cycle can be divided into parts of whole microseconds, ascending."""
    steps = cycle.period // OFFSET_STEP
    return [n for n in range(1, MOST_SLOTS // frames + 1) if steps % n == 0]


def _shortest_period(cycle: Cycle, frames: int, block: int) -> Nanoseconds:
    """The shortest period in which the block fits behind a Sync."""
    sync = whole_us_up(cycle.sync_time)
    fitting = [n for n in _repeats(cycle, frames) if block + sync <= cycle.period // n]
    return Nanoseconds(cycle.period // max(fitting))


def _too_long(cycle: Cycle, request: SlotRequest, jitter: int) -> Inexpressible:
    """The longest request that the cycle holds, if there is one."""
    field = "length" if request.payload is None else "payload"
    because = f"{field}: longer than what a cycle holds besides its Sync"
    room = cycle.period - whole_us_up(cycle.sync_time)
    around = cycle.guard + jitter
    whole = whole_us_up(wire_time(cycle.mtu, cycle.bit_rate) + around)
    frames = min(MOST_SLOTS, room // whole)
    several = time_of(frames * wire_bytes(cycle.mtu), cycle.bit_rate)
    longest = several if frames else room - around
    if longest < wire_time(SMALLEST_PAYLOAD, cycle.bit_rate):
        return Inexpressible(because=because, nearest=None)
    period = Nanoseconds(max(request.period, cycle.period))
    if request.payload is None:
        nearest = SlotRequest(period=period, length=Nanoseconds(longest))
    else:
        payload = bytes_within(longest, cycle.bit_rate) - FRAME_OVERHEAD
        nearest = SlotRequest(period=period, payload=min(payload, cycle.mtu))
    return Inexpressible(because=because, nearest=nearest)
