"""The least set of pods without which another one fits. Pure.

Least is, in this order: the highest criticality among the victims, their number, the bandwidth that
they give back (what is given back in excess, since a node's need is the same for every set). Sets
are tried by level and size. An admission need not be monotone (more room may be packed worse), so
nothing is concluded from a larger set; only the necessary condition on bandwidth, which is
monotone, drops a set without a test.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from k40s.criticality import Criticality

Uids = frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A pod that may be displaced, and the bandwidth that it holds on the node."""

    uid: str
    criticality: Criticality
    bandwidth: Fraction


Victims = tuple[Candidate, ...]


def freed_by(victims: Sequence[Candidate]) -> Fraction:
    """The bandwidth that they give back."""
    return sum((one.bandwidth for one in victims), Fraction(0))


class VictimSearch:
    """The search on one node.

    No set is enough that gives back less than ``lacking``. ``may_fit`` is a necessary condition,
    monotone in the set, and cheap; ``fits`` decides.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        *,
        lacking: Fraction,
        may_fit: Callable[[Uids], bool],
        fits: Callable[[Uids], bool],
    ) -> None:
        self._candidates = sorted(candidates, key=lambda one: (one.bandwidth, one.uid))
        self._lacking = lacking
        self._may_fit = may_fit
        self._fits = fits

    def steps(self) -> Iterator[tuple[Criticality, int]]:
        """All (highest criticality, number of victims) that are possible, the least first."""
        for level in sorted({one.criticality for one in self._candidates}):
            pool = self._up_to(level)
            if freed_by(pool) >= self._lacking and self._may_fit(_uids(pool)):
                sizes = range(1, len(pool) + 1)
                yield from (
                    (level, size) for size in sizes if freed_by(pool[-size:]) >= self._lacking
                )

    def possible(self, level: Criticality, size: int, *, late: Callable[[], bool]) -> list[Victims]:
        """The sets of that level and size that give back enough, the least bandwidth first.

        Once ``late()`` is true it gives up, with what it has found.
        """
        found: list[tuple[Fraction, list[str], Victims]] = []
        for victims in combinations(self._up_to(level), size):
            if late():
                break
            if all(one.criticality < level for one in victims):
                continue  # tried at a lower level
            freed = freed_by(victims)
            if freed >= self._lacking:
                found.append((freed, sorted(_uids(victims)), victims))
        found.sort(key=lambda one: one[:2])
        return [victims for _, _, victims in found]

    def is_enough(self, victims: Victims) -> bool:
        """Whether the pod fits without them."""
        uids = _uids(victims)
        return self._may_fit(uids) and self._fits(uids)

    def least(self, *, late: Callable[[], bool]) -> Victims | None:
        """The least set on this node, or None where there is none or time is up."""
        for level, size in self.steps():
            for victims in self.possible(level, size, late=late):
                if late():
                    return None
                if self.is_enough(victims):
                    return victims
        return None

    def enough(self, *, late: Callable[[], bool]) -> Victims | None:
        """Some set on this node of which none can be left out, or None as ``least``.

        Of the lowest level that is enough. Those that give back most are taken first.
        """
        for level in sorted({one.criticality for one in self._candidates}):
            chosen: list[Candidate] = []
            pool = self._up_to(level)
            for one in sorted(pool, key=lambda one: (one.criticality, -one.bandwidth)):
                if late():
                    return None
                chosen.append(one)
                if freed_by(chosen) >= self._lacking and self.is_enough(tuple(chosen)):
                    return self._pruned(chosen, late)
        return None

    def _pruned(self, chosen: Sequence[Candidate], late: Callable[[], bool]) -> Victims:
        """Without those that need not go: the most critical stay first, then the smallest."""
        kept = list(chosen)
        for one in sorted(chosen, key=lambda one: (-one.criticality, one.bandwidth)):
            fewer = tuple(other for other in kept if other is not one)
            if late():
                break
            if fewer and freed_by(fewer) >= self._lacking and self.is_enough(fewer):
                kept = list(fewer)
        return tuple(kept)

    def _up_to(self, level: Criticality) -> list[Candidate]:
        return [one for one in self._candidates if one.criticality <= level]


def _uids(victims: Sequence[Candidate]) -> Uids:
    return frozenset(one.uid for one in victims)
