"""What was done to a pod as text, for events. Pure."""

from fractions import Fraction

from daemons.malacoda.culprit.evidence import describe_hazard, describe_share
from k40s.assurance.response.acts import Act, ActKind, Cause
from k40s.assurance.response.harm import Gauge, Harm
from k40s.assurance.watch import WatchState

_UNITS = {
    Gauge.PRESSURE: "us/s of CPU pressure",
    Gauge.REPORT: "report of its own",
    Gauge.MISSES: "missed deadlines",
}
_WHY = {
    Cause.NAMED: "it is suspected of the hazard",
    Cause.ESCALATED: "the hazard lasts in spite of the step before",
    Cause.RELAPSED: "the hazard came back when it was released",
    Cause.BEFORE_ENDING: "it is being deleted, and a frozen pod cannot end",
    Cause.OVER: "the hazard is over",
    Cause.IN_VAIN: "the hazard lasts although it does not run: it is not the cause",
    Cause.TOO_LONG: "it was held for as long as any pod may be",
    Cause.RESTARTED: "the monitor or the actuator has started anew",
}
UNFIT = "it may not be held any more: it is gone, protected, or as critical as the threatened ones"
"""Why a pod is released whose identity has changed."""


def describe_act(act: Act, watched: WatchState, *, dry_run: bool, why: str = "") -> str:
    """The text of an event about an act: what was done, the rule, the metrics, the evidence."""
    reason = act.reason
    done = f"dry run, nothing was done: {_done(act)}" if dry_run else _done(act)
    parts = [f"pod {act.pod} {done}: {why or _WHY[reason.cause]}"]
    if not act.undoes:
        parts.append(f"hazard: {describe_hazard(watched)}")
    if reason.harm:
        parts.append(f"harm: {', '.join(map(_harm, reason.harm))}")
    finding = reason.finding
    if finding is not None and finding.culprit is not None and finding.culprit.uid == act.uid:
        parts.append(f"it caused {describe_share(finding.culprit, finding.threads)}")
    if act.step.reversible and not act.undoes:
        parts.append("it is undone when the hazard is over")
    return "; ".join(part for part in parts if not part.endswith(": "))


def describe_failure(act: Act, *, result: str, reason: str, text: str) -> str:
    """The text of an event about an act that was refused or has failed."""
    why = ", ".join(word for word in (reason, text) if word)
    return f"pod {act.pod} could not be held or released: {act.kind} was {result}: {why}"


def _done(act: Act) -> str:
    quota = Fraction(0) if act.quota is None else act.quota
    return {
        ActKind.THROTTLE: f"is throttled to {_format_cpus(quota)} CPUs",
        ActKind.UNTHROTTLE: "has its CPU quota back",
        ActKind.FREEZE: "is frozen",
        ActKind.THAW: "is thawed",
        ActKind.MOVE: "is moved off the CPUs of critical threads",
        ActKind.MOVE_BACK: "has its CPUs back",
        ActKind.EVICT: "is to be evicted: the controller decides",
        ActKind.KILL: "is killed: kubelet starts it again as its restart policy says",
    }[act.kind]


def _harm(harm: Harm) -> str:
    return f"{harm.value:.0f} {_UNITS[harm.gauge]}"


def _format_cpus(quota: Fraction) -> str:
    """Two decimals, or three where they are needed: nothing shows as the same that is not."""
    text = f"{float(quota):.3f}"
    return text.removesuffix("0")
