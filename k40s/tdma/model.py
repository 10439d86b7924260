"""Values of a TDMA network: its cycle, requests, windows and the table of who holds which.

The model is that of RTnet's TDMA discipline: every elementary cycle begins with a Sync frame, and a
slot sends one packet at a fixed offset in every ``every``-th cycle.
"""

from dataclasses import dataclass

from k40s.units import NS_PER_US, Nanoseconds

OFFSET_STEP = NS_PER_US
"""Offsets are whole microseconds: finer ones cannot be told to a station nor read back."""
SMALLEST_PAYLOAD = 60
"""Of a slot, in bytes; stations refuse smaller ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """The elementary cycle of a TDMA network, as the Network declares it.

    ``guard`` is kept free after every window; ``sync_lateness`` is by how much a Sync may leave
    late; ``backup_offsets`` are where backup masters send theirs.
    """

    period: Nanoseconds
    bit_rate: int
    mtu: int
    guard: Nanoseconds
    sync_lateness: Nanoseconds = Nanoseconds(0)
    backup_offsets: tuple[Nanoseconds, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRequest:
    """The paper's (TS, TSp): airtime or packet size, and the period at which it is needed.

    Exactly one of ``length`` (time on the wire) and ``payload`` (bytes of one packet) is given.
    """

    period: Nanoseconds
    length: Nanoseconds | None = None
    payload: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One slot: it may send at ``offset`` in every cycle whose number is ``phase`` mod ``every``.

    ``payload`` is the largest packet; ``length`` is what is kept free for it: time on the wire,
    guard, and the station's jitter. ``phase`` counts from 0.
    """

    offset: Nanoseconds
    phase: int
    every: int
    length: Nanoseconds
    payload: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotGrant:
    """The slots of one request. The first is primary; the others join its queue."""

    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotTable:
    """A cycle and all windows in use."""

    cycle: Cycle
    windows: tuple[Window, ...] = ()
