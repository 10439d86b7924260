"""A node's score as prioritize gives it, and the parts that it is the mean of. Pure."""

from collections.abc import Mapping, Sequence

from extender.cache.assurance_tables import HIGHEST_SCORE
from extender.cache.snapshot import Snapshot
from extender.placement.node_scores import ScoreTerms, score_terms
from extender.placement.score import score_nodes
from k40s.cpu.workload import Workload
from k40s.criticality import Criticality
from k40s.explanation.model import ScorePart


def explain_scores(
    snapshot: Snapshot, names: Sequence[str], workload: Workload, terms: ScoreTerms
) -> Mapping[str, tuple[int, tuple[ScorePart, ...]]]:
    """The score of each name among these, and its parts, each 0 to 10, with weights of sum 1.

    The weighted sum is the score but for the rounding after each mean.
    """
    scores = score_terms(snapshot, names, workload, terms)
    bases = score_nodes(snapshot, names, criticality=workload.criticality)
    return {
        name: (score, _parts(name, base, workload, terms))
        for name, score, base in zip(names, scores, bases, strict=True)
    }


def _parts(name: str, base: int, workload: Workload, terms: ScoreTerms) -> tuple[ScorePart, ...]:
    packs = workload.criticality is Criticality.NO
    what = "packing onto used nodes" if packs else "assurance"
    parts = [ScorePart(name=what, score=float(base), weight=1.0)]
    if terms.remaining is not None:
        left = HIGHEST_SCORE * terms.remaining.get(name, 0.0)
        parts = [*_halved(parts), ScorePart(name="CPU left", score=left, weight=0.5)]
    if terms.damages is not None:
        left = HIGHEST_SCORE * _sparing(name, terms.damages)
        parts = [*_halved(parts), ScorePart(name="networks left", score=left, weight=0.5)]
    return tuple(parts)


def _sparing(name: str, damages: Mapping[str, float]) -> float:
    """The least damage among the nodes, over this node's."""
    damage, least = damages.get(name), min(damages.values(), default=0.0)
    if damage is None:
        return 0.0
    return least / damage if damage > least else 1.0


def _halved(parts: Sequence[ScorePart]) -> list[ScorePart]:
    return [ScorePart(name=one.name, score=one.score, weight=one.weight / 2) for one in parts]
