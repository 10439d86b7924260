"""Whose bounds hold for a namespace."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from k40s.reasons import Reason
from k40s.tenants.ledger import DEFAULT, TenantState


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Tenants by namespace. ``rivals`` are the namespaces that another Tenant names too, by Tenant.

    A Tenant that cannot be used, and one that has a rival for a namespace, refuse its pods: which
    bounds were meant is not known. One whose list of namespaces cannot be read may mean any that no
    other names.
    """

    named: Mapping[str, TenantState | Reason] = field(default_factory=dict)
    others: TenantState | Reason | None = None
    rivals: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, tenants: Iterable[TenantState]) -> "Assignment":
        """The assignment of all Tenants of a cluster."""
        claims: dict[str, list[TenantState]] = {}
        others: TenantState | Reason | None = None
        for one in sorted(tenants, key=lambda tenant: tenant.name):
            if one.namespaces is not None and one.name != DEFAULT:
                for namespace in one.namespaces:
                    claims.setdefault(namespace, []).append(one)
            elif one.fault is not None:
                others = Reason.TENANT_INVALID
            elif others is None:
                others = one
        return cls(
            named={namespace: _decide(found) for namespace, found in claims.items()},
            others=others,
            rivals=_rivals(claims),
        )

    def find(self, namespace: str) -> TenantState | Reason | None:
        """The Tenant of a namespace, why none can be told, or None where there are no bounds."""
        return self.named.get(namespace, self.others)


def _decide(found: list[TenantState]) -> TenantState | Reason:
    if len(found) > 1 or found[0].fault is not None:
        return Reason.TENANT_INVALID
    return found[0]


def _rivals(claims: Mapping[str, list[TenantState]]) -> dict[str, frozenset[str]]:
    rivals: dict[str, set[str]] = {}
    for namespace, found in claims.items():
        if len(found) > 1:
            for one in found:
                rivals.setdefault(one.name, set()).add(namespace)
    return {name: frozenset(namespaces) for name, namespaces in rivals.items()}
