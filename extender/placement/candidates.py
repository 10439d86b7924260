"""Candidate nodes of a workload, and the reasons that refuse the others. Pure.

Assurance is looked up; CPU admission runs the same code as the node's daemon, which decides again
under its lock when the pod is bound.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Protocol

from extender.cache.snapshot import Snapshot
from k40s.annotations import CpuState
from k40s.cpu.admission.necessary_condition import may_fit
from k40s.cpu.model import CpuNode, DeadlineOffer, Domain, PodDemand, Reservation
from k40s.cpu.outcome import Admit, Rejection
from k40s.criticality import Criticality
from k40s.node_api.messages import AdmissionAnswer
from k40s.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A partition of the candidates: every name is in exactly one of the two.

    ``exchanging``: the nodes fit only after servers of their pods have been exchanged.
    """

    fit: Sequence[str]
    refused: Mapping[str, Reason]
    exchanging: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """An admission verdict: ``reason`` is None where the pod fits.

    ``remaining`` is the utilization left then, from 0 to 1: 1 - U of the least loaded core, or the
    mean over the CPUs of a shared root domain. ``exact`` is False where only the necessary
    condition was checked.
    """

    reason: Reason | None
    remaining: float = 0.0
    exact: bool = True


class Judged(Protocol):
    """A verdict of any kind on one node."""

    @property
    def reason(self) -> Reason | None:
        """Why the node is refused, None where the pod fits."""


def refuse_all(names: Sequence[str], reason: Reason) -> Split:
    """Refuses every node."""
    return Split(fit=(), refused=dict.fromkeys(names, reason))


def split_by_assurance(snapshot: Snapshot, names: Sequence[str], criticality: Criticality) -> Split:
    """Splits by assurance; for NO every node fits, even an unknown one."""
    if criticality is Criticality.NO:
        return Split(fit=names, refused={})
    fitting, refusals = snapshot.scores[criticality], snapshot.refused[criticality]
    reasons = list(map(refusals.get, names))
    if not all(map(snapshot.nodes.__contains__, names)):
        pairs = zip(names, reasons, strict=True)
        reasons = [None if n in fitting else why or Reason.NODE_UNKNOWN for n, why in pairs]
    if not any(reasons):
        return Split(fit=names, refused={})
    return Split(
        fit=[name for name, why in zip(names, reasons, strict=True) if why is None],
        refused={n: why for n, why in zip(names, reasons, strict=True) if why is not None},
    )


def split_by_verdicts(split: Split, verdicts: Mapping[str, Judged]) -> Split:
    """Moves nodes with a refusing verdict from ``fit`` to ``refused``."""
    fit = []
    refused = dict(split.refused)
    for name in split.fit:
        reason = verdicts[name].reason
        if reason is None:
            fit.append(name)
        else:
            refused[name] = reason
    return replace(split, fit=fit, refused=refused)


def run_test(test: Admit, node: CpuNode, demand: PodDemand) -> Verdict:
    """Runs the admission test that the node's daemon would run."""
    outcome = test(node, demand)
    if isinstance(outcome, Rejection):
        return Verdict(reason=outcome.reason)
    return Verdict(reason=None, remaining=_remaining(node, _used(outcome.node.reservations)))


def check_bandwidth(
    node: CpuNode, demand: PodDemand, utilization: Mapping[int, Fraction]
) -> Verdict:
    """Checks only the necessary condition on bandwidth; bind decides."""
    reason = may_fit(core_utilizations=utilization, node=node, demand=demand)
    left = _remaining(node, _as_floats(utilization))
    return Verdict(reason=reason, remaining=left, exact=False)


def room_of(state: CpuState) -> float:
    """The utilization left at present, as a verdict counts it."""
    return _remaining(state.node, _as_floats(state.utilization))


def read_answer(node: CpuNode, answer: AdmissionAnswer) -> Verdict:
    """The verdict of the node's own daemon. Where it exchanges servers, nothing counts as left."""
    if answer.exchange:
        return Verdict(reason=None)
    left = _remaining(node, _as_floats(answer.utilization))
    return Verdict(reason=answer.reason, remaining=left)


def _as_floats(utilization: Mapping[int, Fraction]) -> dict[int, float]:
    return {core: float(used) for core, used in utilization.items()}


def _used(reservations: Sequence[Reservation]) -> dict[int, float]:
    used: dict[int, float] = {}
    for held in reservations:
        share = held.server.budget / held.server.period
        used[held.core] = used.get(held.core, 0.0) + share
    return used


def _remaining(node: CpuNode, used: Mapping[int, float]) -> float:
    """Utilization left on the least loaded core, or on average where threads migrate."""
    offer = node.deadline
    if offer is not None and offer.domain is Domain.SHARED:
        left = _left_on_average(offer, used)
    else:
        left = 1.0 - min((used.get(core, 0.0) for core in node.cores), default=1.0)
    return min(max(left, 0.0), 1.0)


def _left_on_average(offer: DeadlineOffer, used: Mapping[int, float]) -> float:
    """(m·capacity - ΣU)/m over m CPUs, on which the node's cores are as well."""
    return float(offer.capacity) - sum(used.values()) / offer.cpus
