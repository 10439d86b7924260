"""Criticality of a workload, as in the k4.0s model: C in {NO, LOW, HI} (paper, section III)."""

from enum import IntEnum


class Criticality(IntEnum):
    """Ordered: ``Criticality.HI > Criticality.LOW > Criticality.NO``."""

    NO = 0
    LOW = 1
    HI = 2


def parse_criticality(text: str) -> Criticality:
    """Read ``"NO"``, ``"LOW"`` or ``"HI"``, to the letter; anything else raises ``ValueError``."""
    try:
        return Criticality[text]
    except KeyError:
        raise ValueError(f'not one of "NO", "LOW", "HI": {text!r}') from None
