"""Entries for bound pods that have none: those that were there before their Tenant."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from k40s.ledger.collection import CollectionPlan
from k40s.tenants.assignment import Assignment
from k40s.tenants.ledger import DEFAULT, TenantReservation, TenantState
from k40s.tenants.room import Room


def adopt(
    plan: CollectionPlan[TenantReservation],
    tenant: str,
    assignment: Assignment,
    bound: Mapping[str, Collection[TenantReservation]],
) -> CollectionPlan[TenantReservation]:
    """The plan with entries for the pods of this Tenant that have none, as many as there is room.

    ``bound`` are all bound pods that count, by namespace. A pod that was just removed is not taken
    up again: the API server was asked for it.
    """
    known = {one.owner.uid for one in plan.reservations}
    known |= {one.reservation.owner.uid for one in plan.removed}
    missing = [
        one
        for namespace, pods in sorted(bound.items())
        if _holds(assignment, namespace, tenant)
        for one in pods
        if one.owner.uid not in known
    ]
    if not missing:
        return plan
    room = Room.of(plan.reservations, shared=tenant == DEFAULT)
    added = []
    for one in missing:
        if room.holds(one):
            room.take(one)
            added.append(one)
    return replace(plan, reservations=(*plan.reservations, *added), added=len(added))


def _holds(assignment: Assignment, namespace: str, tenant: str) -> bool:
    found = assignment.find(namespace)
    return isinstance(found, TenantState) and found.name == tenant
