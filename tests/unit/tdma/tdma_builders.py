"""Short ways to write cycles, requests and windows; times in microseconds."""

from k40s.tdma.model import Cycle, SlotRequest, Window
from k40s.units import NS_PER_US, Nanoseconds


def us(value: float) -> Nanoseconds:
    return Nanoseconds(round(value * NS_PER_US))


def make_cycle(
    period: float = 1_000,
    *,
    guard: float = 20,
    rate: int = 100_000_000,
    mtu: int = 1_500,
    lateness: float = 0,
    backups: tuple[float, ...] = (),
) -> Cycle:
    return Cycle(
        period=us(period),
        bit_rate=rate,
        mtu=mtu,
        guard=us(guard),
        sync_lateness=us(lateness),
        backup_offsets=tuple(map(us, backups)),
    )


def make_request(
    period: float = 1_000, *, payload: int | None = None, length: float | None = None
) -> SlotRequest:
    return SlotRequest(
        period=us(period), payload=payload, length=None if length is None else us(length)
    )


def make_window(
    offset: float, length: float, *, phase: int = 0, every: int = 1, payload: int = 60
) -> Window:
    return Window(offset=us(offset), phase=phase, every=every, length=us(length), payload=payload)
