"""Scores from 0 to 10, whole numbers, higher is better. Pure and deterministic.

HI spreads toward the highest assurance; LOW prefers the least assurance that suffices; NO packs
onto the most used general nodes and avoids real-time nodes. A real-time workload also prefers the
node whose least loaded core has the most utilization left (the paper's rule). A workload that
requires networks also prefers the node that takes the least of them. Among equal scores the
scheduler's own plugins decide.
"""

from collections.abc import Mapping, Sequence

from extender.cache.assurance_tables import HIGHEST_SCORE, clamp
from extender.cache.snapshot import Snapshot
from k40s.criticality import Criticality

_AVOIDED = -1


def score_remaining(base: int, remaining: float) -> int:
    """The mean of a score and of the remaining utilization (0..1) of the least loaded core."""
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


def score_damage(
    names: Sequence[str], scores: Sequence[int], damages: Mapping[str, float]
) -> list[int]:
    """The mean of each score and of 10·(least damage)/(damage of this node) to later requests.

    ``scores`` are in the order of ``names``. A node that is missing in ``damages`` gets 0.
    """
    least = min(damages.values(), default=0.0)
    return [
        score_remaining(score, least / damages[name] if damages[name] > least else 1.0)
        if name in damages
        else 0
        for name, score in zip(names, scores, strict=True)
    ]
