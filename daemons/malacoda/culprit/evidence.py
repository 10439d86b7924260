"""The evidence of a verdict as text, for events and the log. Pure."""

from collections.abc import Sequence

from k40s.assurance.suspects.verdict import AttributionPolicy, Finding, Role, Share, Verdict
from k40s.assurance.watch import WatchState
from k40s.units import NS_PER_S

_SHOWN = 3
"""Shares in an event; the log has as many."""
_WHY = {
    Verdict.NAMED: "a pod of lower criticality leads",
    Verdict.UNCONFIRMED: "a pod leads, but in too few samples in a row",
    Verdict.OUTSIDE: "host processes, kernel threads or pods that may run on other CPUs too lead",
    Verdict.PROTECTED: "the pod that leads is a system pod, cannot be read, or is as critical as "
    "the one that is threatened",
    Verdict.HELD: "the pod that leads is held already",
    Verdict.UNCLEAR: "no pod leads clearly",
    Verdict.NO_BASELINE: "there was too little quiet time before it to compare with",
    Verdict.NO_SUSPECT: "no pod here is less critical than the one that is threatened",
    Verdict.INCOMPLETE: "the CPU use of the node's CPUs or pods could not be read",
}


def describe_named(
    finding: Finding,
    watched: WatchState,
    policy: AttributionPolicy,
    *,
    names: bool,
    acts: bool = False,
) -> str:
    """The text of an event about a suspect: the metric, the shares, the window, the rule.

    ``acts`` tells whether a response follows, with an event of its own. Without ``names`` the next
    pods are shown by their shares alone: whoever reads the suspect's events need not know what else
    runs on the node.
    """
    if finding.culprit is None:
        raise ValueError("nobody is named")
    others = [other for other in finding.shares if other.uid != finding.culprit.uid]
    share = describe_share(finding.culprit, finding.threads)
    parts = [
        f"pod {finding.culprit.name} is suspected of the hazard {describe_hazard(watched)}",
        f"in the last {_seconds(finding)} it caused {share}",
        f"next: {_list(others[: _SHOWN - 1], names=names)}",
        f"threatened: {finding.threatened.name} pods of this node",
        _rule(policy),
        "what is done to it is told by another event"
        if acts
        else "it is named only: nothing is done to it",
    ]
    return "; ".join(part for part in parts if not part.endswith(": "))


def describe_nobody(finding: Finding, watched: WatchState) -> str:
    """The text of an event about a hazard for which nobody is named."""
    parts = [
        f"no pod is suspected of the hazard {describe_hazard(watched)}: {_WHY[finding.verdict]}",
        f"shares of the rise in the last {_seconds(finding)}: {_list(finding.shares[:_SHOWN])}",
        f"threatened: {finding.threatened.name} pods of this node",
    ]
    return "; ".join(part for part in parts if not part.endswith(": "))


def log_fields(finding: Finding, watched: WatchState) -> dict[str, object]:
    """The same for the log, as fields."""
    return {
        "verdict": finding.verdict.value,
        "suspect": finding.culprit.name if finding.culprit else None,
        "pod": finding.culprit.uid if finding.culprit else None,
        "threatened": finding.threatened.name,
        "hazards": [metric.value for metric in watched.hazards],
        "values": {metric.value: round(value, 3) for metric, value in watched.metrics.items()},
        "window_s": round(finding.window / NS_PER_S, 2),
        "onset_s": round((finding.at - finding.onset) / NS_PER_S, 2),
        "threads": finding.threads,
        "shares": [
            {
                "name": _name(share),
                "role": share.role.value,
                "score": round(share.score, 3),
                "system": [round(share.system, 3), round(share.rise.system, 3)],
                "used": [round(share.used, 3), round(share.rise.used, 3)],
                "threads": [round(share.threads, 3), round(share.rise.threads, 2)],
            }
            for share in finding.shares[:_SHOWN]
        ],
    }


def _rule(policy: AttributionPolicy) -> str:
    return (
        f"rule: {policy.share:g} of the rise and {policy.margin:g} times the next, or one of two "
        f"with {policy.pair_share:g} together, in {policy.agreeing} samples in a row"
    )


def describe_hazard(watched: WatchState) -> str:
    """The metrics whose alarms are active, with their values."""
    return ", ".join(
        f"{metric.value} {watched.metrics[metric]:.2f}"
        if metric in watched.metrics
        else metric.value
        for metric in watched.hazards
    )


def describe_share(share: Share, threads: str | None) -> str:
    """A pod's part of the rise: its score, and the three shares that it is the mean of."""
    text = (
        f"{share.score:.2f} of the rise (system time {share.system:.2f}: {share.rise.system:.2f} "
        f"CPUs, CPU use {share.used:.2f}: {share.rise.used:.2f} CPUs"
    )
    if threads is not None:
        text += f", {_THREADS[threads]} {share.threads:.2f}: {share.rise.threads:.1f}"
    return text + ")"


_THREADS = {"runnable": "runnable threads", "pids": "threads"}


def _list(shares: Sequence[Share], *, names: bool = True) -> str:
    return ", ".join(
        f"{_name(share)} {share.score:.2f}" if names else f"{share.score:.2f}" for share in shares
    )


def _name(share: Share) -> str:
    if share.role is Role.OUTSIDE:
        return "outside the pods"
    return share.name or f"unknown pod {share.uid}"


def _seconds(finding: Finding) -> str:
    return f"{finding.window / NS_PER_S:.1f} s"
