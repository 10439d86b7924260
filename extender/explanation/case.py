"""One node's refusal, and what is found about it."""

from dataclasses import dataclass

from extender.cache.node_entry import Heard
from extender.cache.snapshot import NodeView
from extender.preemption.trial import Applicant
from k40s.explanation.model import Figure, Obstacle
from k40s.reasons import Reason

FAR = 1e9
"""How much lacks where no figure tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A pod, and a node that refuses it. ``view`` and ``heard`` are None for an unknown node."""

    asked: Applicant
    name: str
    reason: Reason
    view: NodeView | None
    heard: Heard | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Figures of a refusal. ``lacking`` orders nodes that refuse for reasons of the same kind."""

    detail: str
    figures: tuple[Figure, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    remedies: tuple[str, ...] = ()
    lacking: float = FAR
