"""Random sets of slot requests of a class of periods and a utilization."""

from collections.abc import Mapping
from random import Random

from k40s.tdma.expression import Expression, express
from k40s.tdma.model import Cycle, SlotRequest
from k40s.units import NS_PER_MS, NS_PER_US, Nanoseconds

CYCLE = Cycle(
    period=Nanoseconds(NS_PER_MS),
    bit_rate=100_000_000,
    mtu=1_500,
    guard=Nanoseconds(20 * NS_PER_US),
)
"""100 Mbit/s, 1 ms, and 20 µs of guard."""
PAYLOADS = (46, 128, 256, 512, 1_024, 1_500)
CLASSES: Mapping[str, tuple[int, ...]] = {
    "harmonic": (1, 2, 4, 8, 16, 32, 64),
    "automotive": (1, 2, 5, 10, 20, 50, 100, 200, 1_000),
    "mixed": (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30),
    "coprime": (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15, 20, 21, 25, 30),
}
"""Periods in cycles. Automotive: those of WATERS 2015 (Kramer, Ziegenbein, Hamann)."""
SHARES = (3, 2, 2, 25, 25, 3, 20, 1, 4)
"""How frequent the automotive periods are there, in per cent; the rest follows the engine."""


def random_requests(
    chance: Random, periods: tuple[int, ...], load: float, shares: tuple[int, ...] | None = None
) -> list[SlotRequest]:
    """Requests in random order until no more than 0.01 is missing of the utilization ``load``.

    What is kept free for a slot (guard included) counts; the Sync does not.
    """
    found: list[SlotRequest] = []
    used = 0.0
    while load - used >= 0.01:
        request = SlotRequest(
            period=Nanoseconds(chance.choices(periods, shares)[0] * CYCLE.period),
            payload=chance.choice(PAYLOADS),
        )
        form = express(CYCLE, request)
        assert isinstance(form, Expression)
        share = form.block / form.period
        if used + share <= load:
            found.append(request)
            used += share
    chance.shuffle(found)
    return found
