"""Outcome of an admission: the node after it, or a rejection with its reason."""

from collections.abc import Callable
from dataclasses import dataclass

from k40s.cpu.model import CpuNode, PodDemand, Reservation
from k40s.reasons import Reason

ADMISSION_TEST = "davis-burns-2005+tick.6"
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


Admit = Callable[[CpuNode, PodDemand], Admission | Rejection]
"""An admission test: the outcome for a pod's demand on a node."""
