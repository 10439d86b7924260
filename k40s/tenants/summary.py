"""What ``Tenant.status`` says beside the reservations: conditions, and what is used.

Nothing decides by it: it is for ``kubectl get`` and ``kubectl describe``.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fractions import Fraction

from k40s.ledger.conditions import Condition, Truth, listed, shortened
from k40s.tenants.cpus import format_cpus
from k40s.tenants.ledger import TenantReservation, TenantState
from k40s.tenants.model import Usage

MOST_LINES = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSummary:
    """The written-down conclusions.

    ``bandwidth`` in CPUs as text, and ``hi_pods``: what counts against the bounds. Of the Tenant
    ``default``, whose bounds hold for each namespace by itself, the largest of any namespace.
    ``usage`` are lines, one for each namespace.
    """

    observed_generation: int = 0
    bandwidth: str = ""
    hi_pods: int = 0
    usage: tuple[str, ...] = ()
    conditions: Mapping[str, Condition] = field(default_factory=dict)


def summarize(
    state: TenantState,
    reservations: Sequence[TenantReservation] | None,
    *,
    rivals: Collection[str],
    former: TenantSummary,
    now: datetime,
) -> TenantSummary:
    """Conclude. ``reservations`` are None where they cannot be read: of them nothing new is said.

    ``rivals`` are its namespaces that another Tenant names too.
    """
    conditions = [_judge_validity(state, rivals)]
    said = replace(former, observed_generation=state.generation)
    if reservations is not None:
        by_namespace = _usages(state, reservations)
        together = [Usage.of(one.need for one in reservations if _counts(state, one))]
        if state.namespaces is None:
            together = [*by_namespace.values()]
        conditions.append(_judge_use(state, together))
        said = replace(
            said,
            bandwidth=format_cpus(max((one.bandwidth for one in together), default=Fraction(0))),
            hi_pods=max((one.high for one in together), default=0),
            usage=_lines(by_namespace),
        )
    return replace(
        said,
        conditions={
            one.kind: one.following(former.conditions.get(one.kind), now) for one in conditions
        },
    )


def _counts(state: TenantState, one: TenantReservation) -> bool:
    return state.namespaces is None or one.owner.namespace in state.namespaces


def _usages(state: TenantState, reservations: Sequence[TenantReservation]) -> dict[str, Usage]:
    found: dict[str, list[TenantReservation]] = {}
    for one in reservations:
        if _counts(state, one):
            found.setdefault(one.owner.namespace, []).append(one)
    return {name: Usage.of(one.need for one in held) for name, held in sorted(found.items())}


def _lines(usages: Mapping[str, Usage]) -> tuple[str, ...]:
    ordered = sorted(usages.items(), key=lambda one: (-one[1].bandwidth, one[0]))
    lines = [
        shortened(
            f"{name}: {format_cpus(one.bandwidth)} CPUs, {one.high} HI pods, {len(one.needs)} pods"
        )
        for name, one in ordered[:MOST_LINES]
    ]
    rest = len(ordered) - MOST_LINES
    return (*lines, f"and {rest} more") if rest > 0 else tuple(lines)


def _judge_validity(state: TenantState, rivals: Collection[str]) -> Condition:
    if state.fault is not None:
        status, reason, message = Truth.FALSE, "InvalidField", state.fault
    elif rivals:
        status, reason = Truth.FALSE, "NamespaceTwice"
        message = f"spec.namespaces: another Tenant names {listed(sorted(rivals))} too"
    else:
        status, reason, message = Truth.TRUE, "Accepted", "its bounds hold"
    return _condition(state, "Valid", status, reason, message)


def _judge_use(state: TenantState, usages: Collection[Usage]) -> Condition:
    if any(one.exceeds(state.bounds) for one in usages):
        message = "more is used than may be: pods that run stay, and others are refused"
        return _condition(state, "WithinBounds", Truth.FALSE, "Exceeded", message)
    return _condition(state, "WithinBounds", Truth.TRUE, "Within", "no more is used than may be")


def _condition(
    state: TenantState, kind: str, status: Truth, reason: str, message: str
) -> Condition:
    return Condition(
        kind=kind, status=status, reason=reason, message=message, generation=state.generation
    )
