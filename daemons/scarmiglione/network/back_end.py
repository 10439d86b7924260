"""The port between the slots of pods and what a station's kernel is told; one back end for each.

A back end serves one interface on one network, whose cycle it is constructed with: another cycle
needs another back end, which is cheap and reads all it knows back from the kernel. It knows nothing
of pods. Calls come from one thread at a time, and none lasts longer than its time limit.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from k40s.reasons import Reason
from k40s.tdma.model import Window
from k40s.units import Nanoseconds


class BackEndName(StrEnum):
    """As published in the node's annotation and in grants."""

    TDMACFG = "tdmacfg"
    IOCTL = "ioctl"
    TAPRIO = "taprio"
    NONE = "none"


class Role(StrEnum):
    """What a station is on its network, as its kernel says."""

    MASTER = "master"
    BACKUP = "backup"
    STATION = "station"


class ChannelKind(StrEnum):
    """What an application selects its channel by; also the key of it in a grant."""

    CHANNEL = "channel"
    """A slot id of RTnet (``RTNET_RTIOC_XMITPARAMS``)."""
    PRIORITY = "priority"
    """A priority of Linux (``SO_PRIORITY``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """What one grant sends through: the primary slot's id, or a priority.

    ``joined`` are the ids of the further slots that share the primary's queue, in the order of the
    grant's windows; a priority has none, however many windows it has.
    """

    number: int
    kind: ChannelKind
    joined: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if min(self.numbers) < 0 or len(set(self.numbers)) != len(self.numbers):
            raise ValueError(f"not the numbers of a channel: {self.numbers}")

    @property
    def numbers(self) -> tuple[int, ...]:
        """All that it occupies on its station; the first is the primary's."""
        return (self.number, *self.joined)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedSlot:
    """A slot that the kernel holds, as read back.

    ``number`` is its id, or the priority. ``joins`` is the primary's id. A kernel shows either
    ``payload`` (RTnet) or ``length`` (taprio: for how long the gate is open); the other is None.
    ``phase`` counts from 0.
    """

    number: int
    offset: Nanoseconds
    phase: int
    every: int
    payload: int | None = None
    length: Nanoseconds | None = None
    joins: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StationState:
    """What one look at the kernel shows of a station.

    ``attached``: it takes slots. ``state`` is the kernel's own word (``active``, ``init``,
    ``stand-by``), which stays ``active`` when the master is gone: ``received`` is the interface's
    counter of received packets, which tells (``preconditions.sync_arrives``). ``cycle`` is known to
    masters alone. ``vnic_mtu`` is that of the interface for ordinary traffic, which shrinks when a
    slot is set. ``read_at`` is monotonic, ``wall_at`` is ``CLOCK_REALTIME``: their difference
    changes when the clock is stepped. ``problems`` are texts for the operator.
    """

    attached: bool
    read_at: Nanoseconds
    wall_at: Nanoseconds
    role: Role | None = None
    state: str = ""
    cycle: Nanoseconds | None = None
    slots: tuple[AppliedSlot, ...] = ()
    mtu: int | None = None
    vnic: str | None = None
    vnic_mtu: int | None = None
    received: int | None = None
    problems: tuple[str, ...] = ()

    @property
    def taken(self) -> frozenset[int]:
        """Ids or priorities that hold a slot."""
        return frozenset(slot.number for slot in self.slots)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the back end can give on this station.

    Numbers from ``first`` to ``last`` are for pods. ``one_per_window``: each further window of a
    grant needs a number of its own. ``primary_below``: the primary's number must be less when
    others join it. ``enforced`` is False where nothing keeps a pod to its slots.
    """

    kind: ChannelKind
    first: int
    last: int
    one_per_window: bool
    primary_below: int | None = None
    enforced: bool = True

    @property
    def channels(self) -> int:
        """How many numbers there are for pods."""
        return max(0, self.last - self.first + 1)

    def free(self, taken: AbstractSet[int]) -> int:
        """How many numbers are left."""
        return self.channels - sum(self.first <= number <= self.last for number in taken)

    def find_channel(self, taken: AbstractSet[int], windows: int) -> Channel | None:
        """The lowest free numbers for a grant of ``windows`` windows; None when there are none."""
        needed = windows if self.one_per_window else 1
        free = [number for number in range(self.first, self.last + 1) if number not in taken]
        if needed < 1 or len(free) < needed:
            return None
        if needed > 1 and self.primary_below is not None and free[0] >= self.primary_below:
            return None
        return Channel(number=free[0], kind=self.kind, joined=tuple(free[1:needed]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a back end does not do what is asked: it has changed nothing.

    ``hazard`` is the stable name of the precondition (``preconditions.Hazard``), a label in logs;
    ``detail`` has the figures.
    """

    reason: Reason
    hazard: str
    detail: str


class SlotBackEnd(Protocol):
    """A station's slots, of all owners. Every method may raise ``KernelError``."""

    @property
    def name(self) -> BackEndName:
        """Which one it is."""
        ...

    @property
    def interface(self) -> str:
        """The interface whose slots these are."""
        ...

    @property
    def limits(self) -> Limits:
        """What it can give. Reads nothing; no channels until the interface was once found."""
        ...

    def read(self) -> StationState:
        """What the kernel holds. Changes nothing.

        An interface that is absent or not attached is a state (``attached`` is False), not an
        error; a read that does not end in time is ``KernelError``.
        """
        ...

    def holds(self, state: StationState, channel: Channel, windows: Sequence[Window]) -> bool:
        """Whether a state shows exactly these windows for the channel. Pure.

        Each kernel shows slots in its own form, so they are compared by the back end alone.
        """
        ...

    def apply(self, channel: Channel, windows: Sequence[Window]) -> Refusal | None:
        """Give a channel exactly these windows; read back, and compare.

        Repeats change nothing. Slots of the channel's numbers that differ are removed and added
        again, never changed in place. After a refusal or ``KernelError`` none of the channel's
        slots is left that was not there before; where even that fails, the error says so.
        """
        ...

    def remove(self, channel: Channel) -> Refusal | None:
        """Take back a channel's slots; those that are absent are no error."""
        ...
