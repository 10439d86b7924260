"""Outcomes of a bind: bound, refused or failed, with the constant text for kube-scheduler."""

import logging
from dataclasses import dataclass
from enum import StrEnum

from extender.cache.workloads import ObservedPod
from extender.protocol import BindingArgs, refusal_text
from k40s.errors import UnavailableError, UnreadableError
from k40s.kube.transport import RefusedError
from k40s.reasons import Reason

_log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """How a bind ended; a metric's label."""

    BOUND = "bound"
    REFUSED = "refused"
    FAULT = "fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class BindResult:
    """``error`` is empty and ``reason`` None if the pod is bound; else ``error`` is constant."""

    outcome: Outcome
    reason: Reason | None = None
    error: str = ""


BOUND = BindResult(outcome=Outcome.BOUND)


def refusal(reason: Reason, outcome: Outcome = Outcome.REFUSED) -> BindResult:
    """A refusal with the constant text of its reason."""
    return BindResult(outcome=outcome, reason=reason, error=refusal_text(reason))


def find_end(args: BindingArgs, pod: ObservedPod | None) -> BindResult | None:
    """The outcome if the pod is gone or bound already, else None."""
    if pod is None:
        return refusal(Reason.POD_UNKNOWN)
    if not pod.node:
        return None
    if pod.node == args.node and pod.has_grants:
        return BOUND
    return refusal(Reason.POD_ELSEWHERE)


def fault(args: BindingArgs, error: UnavailableError) -> BindResult:
    """The API server refused, did not answer, or sent an unreadable pod."""
    _log.warning("bind failed", extra=args.facts | {"cause": str(error)})
    if isinstance(error, UnreadableError):
        return refusal(Reason.POD_UNREADABLE, Outcome.FAULT)
    refused = isinstance(error, RefusedError)
    return refusal(Reason.API_REFUSED if refused else Reason.API_SILENT, Outcome.FAULT)
