"""Which nodes may take a workload, and why the others may not. Pure.

Assurance is looked up; CPU admission runs the same code as the node's daemon, which decides again
under its lock when the pod is bound.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from extender.views import Snapshot
from k40s.cpu.admission import admit, may_fit
from k40s.cpu.model import CpuNode, PodDemand, Reservation
from k40s.cpu.outcome import Rejection
from k40s.criticality import Criticality
from k40s.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A partition of the candidates: every name is in exactly one of the two."""

    fit: Sequence[str]
    refused: Mapping[str, Reason]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``reason`` is None where the pod fits; ``remaining`` is then 1 - U of the least loaded core.

    ``exact`` is False where only the necessary condition was looked at.
    """

    reason: Reason | None
    remaining: float = 0.0
    exact: bool = True


def refuse_all(names: Sequence[str], reason: Reason) -> Split:
    """No node may take the pod."""
    return Split(fit=(), refused=dict.fromkeys(names, reason))


def split_by_assurance(snapshot: Snapshot, names: Sequence[str], criticality: Criticality) -> Split:
    """Fit are nodes whose assurance suffices; every node does for NO, even an unknown one."""
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


def split_by_cpu(split: Split, verdicts: Mapping[str, Verdict]) -> Split:
    """Take out of ``fit`` the nodes whose verdict says no."""
    fit = []
    refused = dict(split.refused)
    for name in split.fit:
        reason = verdicts[name].reason
        if reason is None:
            fit.append(name)
        else:
            refused[name] = reason
    return Split(fit=fit, refused=refused)


def judge_exactly(node: CpuNode, demand: PodDemand) -> Verdict:
    """Run admission as the node's daemon would."""
    outcome = admit(node, demand)
    if isinstance(outcome, Rejection):
        return Verdict(reason=outcome.reason)
    return Verdict(reason=None, remaining=_remaining(node, outcome.node.reservations))


def judge_roughly(node: CpuNode, demand: PodDemand, utilization: Mapping[int, Fraction]) -> Verdict:
    """Look at the necessary condition on bandwidth alone; binding decides."""
    reason = may_fit(core_utilizations=utilization, node=node, demand=demand)
    left = 1.0 - min(map(float, utilization.values()), default=1.0)
    return Verdict(reason=reason, remaining=left, exact=False)


def _remaining(node: CpuNode, reservations: Sequence[Reservation]) -> float:
    used = dict.fromkeys(node.cores, 0.0)
    for held in reservations:
        used[held.core] += held.server.budget / held.server.period
    return 1.0 - min(used.values(), default=1.0)
