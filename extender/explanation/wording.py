"""Figures as text. Pure.

What is needed is rounded up and what is free is rounded down, so a figure never hides a lack.
"""

from collections.abc import Iterable
from fractions import Fraction

from k40s.units import NS_PER_S

_STEPS = 1000
_MINUTE = 60
_HOUR = 3600
_MOST_NAMES = 8


def needed(share: Fraction) -> str:
    """A share of a core, rounded up to three decimals."""
    return f"{-(-share.numerator * _STEPS // share.denominator) / _STEPS:.3f}"


def free(share: Fraction) -> str:
    """A share of a core, rounded down to three decimals."""
    return f"{share.numerator * _STEPS // share.denominator / _STEPS:.3f}"


def age(nanoseconds: int | None) -> str:
    """How long ago, such as ``12s``; ``never``."""
    if nanoseconds is None:
        return "never"
    seconds = nanoseconds // NS_PER_S
    if seconds < _MINUTE:
        return f"{seconds}s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE}m{seconds % _MINUTE}s"
    return f"{seconds // _HOUR}h{seconds % _HOUR // _MINUTE}m"


def listed(names: Iterable[str]) -> str:
    """Some names, and how many more there are."""
    every = list(names)
    rest = len(every) - _MOST_NAMES
    return ", ".join(every[:_MOST_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def sentence(text: str) -> str:
    """The text with a full stop."""
    return text if text.endswith(".") else f"{text}."
