"""Slot tables as an oracle's network and senders."""

from collections.abc import Iterable

from k40s.tdma.model import Cycle, Window
from tests.oracles.slot_timeline import Sender, Wire


def wire_of(cycle: Cycle) -> Wire:
    return Wire(
        cycle=cycle.period,
        bit_rate=cycle.bit_rate,
        guard=cycle.guard,
        lateness=cycle.sync_lateness,
        syncs=(0, *cycle.backup_offsets),
    )


def senders_of(windows: Iterable[Window], jitter: int = 0) -> tuple[Sender, ...]:
    return tuple(
        Sender(offset=w.offset, phase=w.phase, every=w.every, payload=w.payload, jitter=jitter)
        for w in windows
    )
