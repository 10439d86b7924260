"""Assurance refusals and scores of all nodes, by criticality. Pure.

They depend on a node's published level alone: they are computed when it changes, not in each call.
"""

from k40s.assurance.level import HIGHEST_LEVEL, Thresholds, fitness
from k40s.criticality import Criticality
from k40s.reasons import Reason

HIGHEST_SCORE = 10
CRITICALITIES = (Criticality.LOW, Criticality.HI)


class AssuranceTables:
    """Refusals and scores by criticality and node's name. Not locked."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self.refused: dict[Criticality, dict[str, Reason]] = {c: {} for c in CRITICALITIES}
        self.scores: dict[Criticality, dict[str, int]] = {c: {} for c in CRITICALITIES}

    def put(self, node: str, level: int, refusal: Reason | None, *, reduced: int) -> None:
        """Classifies a node by its level, or by the reason why its assurance is not usable.

        ``reduced`` is by how much a hazard keeps the level below its highest.
        """
        self.remove(node)
        for criticality in CRITICALITIES:
            if refusal is not None:
                self.refused[criticality][node] = refusal
            elif not fitness(level, criticality, self._thresholds):
                without = fitness(level + reduced, criticality, self._thresholds)
                self.refused[criticality][node] = (
                    Reason.ASSURANCE_HAZARD if without else Reason.ASSURANCE_TOO_LOW
                )
            else:
                self.scores[criticality][node] = score_assurance(
                    level,
                    criticality=criticality,
                    threshold=self._thresholds.required(criticality),
                )

    def remove(self, node: str) -> None:
        """Removes a node."""
        for criticality in CRITICALITIES:
            self.refused[criticality].pop(node, None)
            self.scores[criticality].pop(node, None)


def score_assurance(level: int, *, criticality: Criticality, threshold: int) -> int:
    """Scores a sufficient level: 10 for the highest one (HI), or for the threshold (LOW)."""
    span = max(HIGHEST_LEVEL - threshold, 1)
    above = level - threshold if criticality is Criticality.HI else HIGHEST_LEVEL - level
    return clamp((2 * HIGHEST_SCORE * above + span) // (2 * span))


def clamp(score: int) -> int:
    """The nearest score that kube-scheduler accepts; it does not clamp by itself."""
    return min(max(score, 0), HIGHEST_SCORE)
