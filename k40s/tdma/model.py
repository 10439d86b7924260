"""Values of a TDMA network: its cycle, requests, windows and the table of who holds which.

The model is that of RTnet's TDMA discipline: every elementary cycle begins with a Sync frame, and a
slot sends one packet at a fixed offset in every ``every``-th cycle.
"""

from dataclasses import dataclass

from k40s.tdma.wire import SYNC_PAYLOAD, whole_us_down, wire_time
from k40s.units import NS_PER_S, NS_PER_US, Nanoseconds, format_duration

OFFSET_STEP = NS_PER_US
"""Offsets are whole microseconds: finer ones cannot be told to a station nor read back."""
SMALLEST_PAYLOAD = 60
"""Of a slot, in bytes; stations refuse smaller ones."""
LARGEST_MTU = 1_500
"""Of Ethernet, in bytes; RTnet's packet buffers hold no more."""
LONGEST_CYCLE = 10 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """The elementary cycle of a TDMA network, as the Network declares it.

    ``guard`` is kept free after every window; ``sync_lateness`` is by how much a Sync may leave
    late; ``backup_offsets`` are where backup masters send theirs.

    Raises ``ValueError`` for a cycle in which no slot can exist. Its text names the field as the
    Network resource spells it.
    """

    period: Nanoseconds
    bit_rate: int
    mtu: int
    guard: Nanoseconds
    sync_lateness: Nanoseconds = Nanoseconds(0)
    backup_offsets: tuple[Nanoseconds, ...] = ()

    def __post_init__(self) -> None:
        _check_range("cycle", self.period, OFFSET_STEP, LONGEST_CYCLE)
        if self.period % OFFSET_STEP:
            raise ValueError(f"cycle: found {self.period}ns, expected whole microseconds")
        if self.bit_rate < 1:
            raise ValueError(f"bitRate: found {self.bit_rate}, expected at least 1 bit/s")
        if not SMALLEST_PAYLOAD <= self.mtu <= LARGEST_MTU:
            raise ValueError(
                f"mtu: found {self.mtu}, expected {SMALLEST_PAYLOAD} to {LARGEST_MTU} bytes"
            )
        _check_range("guard", self.guard, 0, self.period)
        _check_range("syncLateness", self.sync_lateness, 0, self.period)
        if self.sync_time > self.period:
            raise ValueError(
                f"cycle: found {format_duration(self.period)}, expected room for a Sync, its "
                f"lateness and the guard, {format_duration(self.sync_time)}"
            )
        self._check_backups()

    def _check_backups(self) -> None:
        """Each Sync of a backup master comes after the one before it would have ended."""
        free_from = int(self.sync_time)
        for offset in sorted(self.backup_offsets):
            at = format_duration(offset) if offset >= 0 else f"{offset}ns"
            if offset % OFFSET_STEP:
                raise ValueError(f"backupMasters: found offset {at}, expected whole microseconds")
            if not free_from <= offset <= self.period - self.sync_time:
                raise ValueError(
                    f"backupMasters: found offset {at}, expected one from "
                    f"{format_duration(free_from)} (the Sync before it has ended) to "
                    f"{format_duration(max(0, self.period - self.sync_time))} (its own ends in "
                    "the cycle)"
                )
            free_from = offset + self.sync_time

    @property
    def sync_time(self) -> Nanoseconds:
        """What is kept free for one Sync: its frame, its lateness, the guard."""
        frame = wire_time(SYNC_PAYLOAD, self.bit_rate)
        return Nanoseconds(frame + self.sync_lateness + self.guard)

    @property
    def reserved(self) -> tuple["Window", ...]:
        """The Sync at 0, and those of backup masters, as windows of every cycle."""
        return tuple(
            Window(
                offset=Nanoseconds(offset),
                phase=0,
                every=1,
                length=self.sync_time,
                payload=SYNC_PAYLOAD,
            )
            for offset in (0, *sorted(self.backup_offsets))
        )


def _check_range(field: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise ValueError(
            f"{field}: found {value}ns, expected {format_duration(lowest)} to "
            f"{format_duration(highest)}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRequest:
    """The paper's (TS, TSp): airtime or packet size, and the period at which it is needed.

    Exactly one of ``length`` (time on the wire) and ``payload`` (bytes of one packet) is given;
    else, and for what is not above zero, ``ValueError``.
    """

    period: Nanoseconds
    length: Nanoseconds | None = None
    payload: int | None = None

    def __post_init__(self) -> None:
        if (self.length is None) == (self.payload is None):
            raise ValueError("length, payload: expected exactly one of them")
        for field in ("period", "length", "payload"):
            value = getattr(self, field)
            if value is not None and value <= 0:
                raise ValueError(f"{field}: found {value}, expected more than zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One slot: it may send at ``offset`` in every cycle whose number is ``phase`` mod ``every``.

    ``payload`` is the largest packet; ``length`` is what is kept free for it: time on the wire,
    guard, and the station's jitter. ``phase`` counts from 0.

    Raises ``ValueError`` for what would harm a station: no ``every``, a phase that never comes, an
    offset that is not in whole microseconds.
    """

    offset: Nanoseconds
    phase: int
    every: int
    length: Nanoseconds
    payload: int

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every: found {self.every}, expected at least 1")
        if not 0 <= self.phase < self.every:
            raise ValueError(f"phase: found {self.phase}, expected 0 to {self.every - 1}")
        if self.offset < 0 or self.offset != whole_us_down(self.offset):
            raise ValueError(f"offset: found {self.offset}ns, expected whole microseconds from 0")
        if self.length <= 0 or self.payload <= 0:
            raise ValueError(
                f"length, payload: found {self.length}ns, {self.payload}, expected more than zero"
            )

    @property
    def end(self) -> Nanoseconds:
        """Where in the cycle it is over, guard included."""
        return Nanoseconds(self.offset + self.length)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotGrant:
    """The slots of one request. The first is primary; the others join its queue."""

    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotTable:
    """A cycle and all windows in use."""

    cycle: Cycle
    windows: tuple[Window, ...] = ()
