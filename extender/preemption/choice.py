"""The best victims of all nodes. Pure.

Nodes are searched side by side, by the highest criticality among the victims and their number;
among equals the least bandwidth given back decides, then the better assurance score, then the name.
Where that takes too long, a set is taken of which none can be left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from extender.cache.snapshot import Snapshot
from extender.placement.score import score_nodes
from extender.preemption.search import Victims, VictimSearch, freed_by
from extender.preemption.trial import NodeTrial
from k40s.criticality import Criticality

IsLate = Callable[[], bool]
Rank = tuple[Fraction, int, str]
"""Bandwidth given back, minus the score, the name of the node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSearch:
    """The search on one node, and the trial that it decides by."""

    name: str
    trial: NodeTrial
    search: VictimSearch


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The victims on a node; none of them where there is room by now."""

    node: str
    victims: Victims


def find_best(
    snapshot: Snapshot, searches: Sequence[NodeSearch], criticality: Criticality, late: IsLate
) -> Choice | None:
    """The first that is enough, in the order of what it costs; None where there is none in time."""
    steps: dict[tuple[Criticality, int], list[NodeSearch]] = {}
    for one in searches:
        for step in one.search.steps():
            steps.setdefault(step, []).append(one)
    for (level, size), here in sorted(steps.items(), key=lambda item: item[0]):
        tries: list[tuple[Rank, Victims, VictimSearch]] = []
        for one in here:
            score = _score(snapshot, one.name, criticality)
            tries += [
                ((freed_by(victims), -score, one.name), victims, one.search)
                for victims in one.search.possible(level, size, late=late)
            ]
        for (_, _, node), victims, search in sorted(tries, key=lambda item: item[0]):
            if late():
                return None
            if search.is_enough(victims):
                return Choice(node=node, victims=victims)
        if late():
            return None
    return None


def settle_for(
    snapshot: Snapshot, searches: Sequence[NodeSearch], criticality: Criticality, late: IsLate
) -> Choice | None:
    """The best of one set for each node of which none can be left out, as far as time allows."""
    found: list[tuple[tuple[Criticality, int, Rank], Choice]] = []
    for one in searches:
        victims = one.search.enough(late=late)
        if victims:
            highest = max(victim.criticality for victim in victims)
            rank = (freed_by(victims), -_score(snapshot, one.name, criticality), one.name)
            choice = Choice(node=one.name, victims=victims)
            found.append(((highest, len(victims), rank), choice))
    return min(found, key=lambda item: item[0])[1] if found else None


def _score(snapshot: Snapshot, node: str, criticality: Criticality) -> int:
    (score,) = score_nodes(snapshot, [node], criticality=criticality)
    return score
