"""Which victims PodDisruptionBudgets do not let go together. No I/O.

The Eviction API asks for one pod at a time, so that the first of two victims would be gone when the
second is refused. This is its rule, counted for all victims of a plan at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from k40s.kube.objects.budgets import BudgetRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Evictable:
    """What budgets depend on of a victim. ``started``: its phase is Running."""

    uid: str
    namespace: str
    labels: Mapping[str, str]
    started: bool
    ready: bool


def find_protected(victims: Sequence[Evictable], budgets: Sequence[BudgetRecord]) -> frozenset[str]:
    """UIDs of victims that budgets protect; the last ones of a budget that suffices for the first.

    A pod of several budgets is never evicted by the API server. One that has not started counts
    against none, as there.
    """
    left = {(one.namespace, one.name): one.allowed for one in budgets}
    protected = set()
    for victim in victims:
        if not victim.started:
            continue
        own = [
            one
            for one in budgets
            if one.namespace == victim.namespace and one.selects(victim.labels)
        ]
        if not own:
            continue
        if len(own) > 1:
            protected.add(victim.uid)
            continue
        budget = own[0]
        if not victim.ready and budget.spares_unready:
            continue
        key = (budget.namespace, budget.name)
        if left[key] > 0:
            left[key] -= 1
        else:
            protected.add(victim.uid)
    return frozenset(protected)
