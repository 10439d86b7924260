"""Bandwidth sums ΣQ/P against a capacity: exact, with fractions only where integers do not decide.

Shares are integers in units of 2⁻⁴⁰ of a CPU, rounded so that they refuse only what is impossible.
"""

from collections.abc import Collection
from fractions import Fraction

SCALE_BITS = 40


def share_below(cost: int, period: int) -> int:
    """⌊cost/period⌋ in units of 2⁻⁴⁰."""
    return (cost << SCALE_BITS) // period


def room_above(servers: Collection[tuple[int, int]], capacity: Fraction) -> int:
    """An upper bound, closer than 2⁻⁴⁰ per server, of the capacity that servers leave."""
    room = -(-(capacity.numerator << SCALE_BITS) // capacity.denominator)
    for budget, period in servers:
        room -= (budget << SCALE_BITS) // period
    return room


def fits_capacity(servers: Collection[tuple[int, int]], capacity: Fraction) -> bool:
    """Whether ΣQ/P ≤ capacity, exactly."""
    below = sum((budget << SCALE_BITS) // period for budget, period in servers)
    limit = capacity.numerator << SCALE_BITS
    if (below + len(servers)) * capacity.denominator <= limit:
        return True
    if below * capacity.denominator > limit:
        return False
    return sum((Fraction(*server) for server in servers), Fraction(0)) <= capacity


def as_decimal(share: int) -> str:
    """A share in units of 2⁻⁴⁰ with three decimals, for people."""
    return f"{share / (1 << SCALE_BITS):.3f}"
