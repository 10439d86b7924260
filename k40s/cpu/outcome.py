"""What admission answers: an admission with the whole node after it, or a rejection with why."""

from dataclasses import dataclass

from k40s.cpu.model import CpuNode, Reservation
from k40s.reasons import Reason

ADMISSION_TEST = "davis-burns-2005+tick.3"
"""The schedulability test that admission runs, as nodes publish it in their CPU state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """``node`` holds every reservation after admission; ``granted`` are the pod's own.

    Servers of other pods on the same core may have grown, never shrunk, and their bands may
    have moved.
    """

    node: CpuNode
    granted: tuple[Reservation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """``reason`` is for events and metrics; ``detail`` carries figures, for logs and answers."""

    reason: Reason
    detail: str = ""
