"""Scores from 0 to 10, whole numbers, higher is better. Pure and deterministic.

HI spreads toward the highest assurance, LOW takes the least that suffices and leaves the rest to
HI, NO packs onto the general nodes that are used most and leaves real-time nodes alone; a
real-time workload also prefers the node whose least loaded core has most left (the paper's
rule). Among equal scores the scheduler's own plugins decide.
"""

from collections.abc import Mapping, Sequence

from extender.views import Snapshot
from k40s.assurance.level import HIGHEST_LEVEL
from k40s.criticality import Criticality

HIGHEST_SCORE = 10
_AVOIDED = -1


def clamp(score: int) -> int:
    """The nearest score that kube-scheduler accepts; it does not clamp by itself."""
    return min(max(score, 0), HIGHEST_SCORE)


def score_assurance(level: int, *, criticality: Criticality, threshold: int) -> int:
    """Score a node that is fit: 10 for the highest level (HI), or for the threshold (LOW)."""
    span = max(HIGHEST_LEVEL - threshold, 1)
    above = level - threshold if criticality is Criticality.HI else HIGHEST_LEVEL - level
    return clamp((2 * HIGHEST_SCORE * above + span) // (2 * span))


def score_remaining(base: int, remaining: float) -> int:
    """Mix a score with the least loaded core's remaining utilization (0..1), half each."""
    return clamp(int((base + HIGHEST_SCORE * remaining) / 2 + 0.5))


def score_packing(snapshot: Snapshot, names: Sequence[str]) -> list[int]:
    """Score nodes for NO workloads: 1 to 10 by load among these nodes, 0 for real-time nodes."""
    loads = list(map(snapshot.loads.get, names))
    if snapshot.real_time:
        avoided = snapshot.real_time
        pairs = zip(names, loads, strict=True)
        loads = [_AVOIDED if name in avoided else load for name, load in pairs]
    different = {load for load in set(loads) if load is not None}
    highest = max(max(different, default=0), 1)
    scores: dict[int | None, int] = {
        load: 1 + (HIGHEST_SCORE - 1) * load // highest for load in different
    }
    scores[None] = 1
    scores[_AVOIDED] = 0
    return list(map(scores.__getitem__, loads))


def score_nodes(
    snapshot: Snapshot,
    names: Sequence[str],
    *,
    criticality: Criticality,
    remaining: Mapping[str, float] | None = None,
) -> list[int]:
    """Score every name, in the same order.

    ``remaining`` is given for a real-time workload: by node, what its least loaded core would
    have left. A node that is not fit, or that is missing there, gets 0.
    """
    if criticality is Criticality.NO:
        return score_packing(snapshot, names)
    base = snapshot.scores[criticality]
    if remaining is None:
        return [base.get(name, 0) for name in names]
    return [
        score_remaining(base[name], remaining[name]) if name in base and name in remaining else 0
        for name in names
    ]
