"""The attribution of a hazard as a fold over samples: freezes the baseline, confirms a culprit."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from k40s.assurance.suspects.rises import Baseline, find_baseline, find_rises
from k40s.assurance.suspects.usage import NodeUsage, confined, observed
from k40s.assurance.suspects.verdict import (
    AttributionPolicy,
    Finding,
    Role,
    Share,
    Verdict,
    find_culprit,
    is_lower,
    share_out,
    why_nobody,
)
from k40s.criticality import Criticality
from k40s.units import Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributionState:
    """The attribution between two samples.

    ``quiet`` are the samples before the first high one, ``recent`` those of the last window.
    ``eve`` is the baseline of the end of the quiet time alone. ``ordinary`` tells that high samples
    have lapsed. ``finding`` is there while an alarm is active,
    ``agreed`` counts the samples that named its culprit.
    """

    quiet: tuple[NodeUsage, ...] = ()
    recent: tuple[NodeUsage, ...] = ()
    onset: Nanoseconds | None = None
    last_high: Nanoseconds | None = None
    last_alarm: Nanoseconds | None = None
    ordinary: bool = False
    baseline: Baseline | None = None
    eve: Baseline | None = None
    finding: Finding | None = None
    agreed: int = 0


def attribute(
    state: AttributionState,
    policy: AttributionPolicy,
    sample: NodeUsage,
    *,
    high: bool,
    alarm: bool,
    threatened: Criticality,
    held: Collection[str] = (),
    cleared: Collection[str] = (),
) -> AttributionState:
    """The attribution after one more sample; one that is not later than the last is ignored.

    ``high`` tells whether any rule's sample was high, ``alarm`` whether any alarm is active,
    ``threatened`` the highest criticality among the pods in danger. Pods that are
    ``held``, and those ``cleared`` by a hold that did not help, stay in the denominators.
    """
    if state.recent and sample.at <= state.recent[-1].at:
        return state
    lower = any(is_lower(sample, uid, threatened) for uid in sample.pods)
    sample = confined(sample)
    state = _freeze(state, policy, sample, high=high or alarm, alarm=alarm)
    if not alarm or state.onset is None:
        ended = state.finding is None and not state.agreed
        return state if ended else replace(state, finding=None, agreed=0)
    if (
        state.baseline is None
        and observed(state.quiet, policy.longest_gap) >= policy.least_baseline
    ):
        state = replace(
            state,
            baseline=_baseline(state.quiet, policy),
            eve=_baseline(_eve(state.quiet, policy), policy),
        )
    finding = _find(state, policy, threatened, held, cleared)
    if not lower and finding.verdict not in {Verdict.NO_BASELINE, Verdict.INCOMPLETE}:
        finding = replace(finding, verdict=Verdict.NO_SUSPECT)
    if finding.culprit is None:
        return replace(state, finding=finding, agreed=0)
    last = state.finding.culprit if state.finding else None
    agreed = state.agreed + 1 if last is not None and last.uid == finding.culprit.uid else 1
    if agreed < policy.agreeing:
        finding = replace(finding, verdict=Verdict.UNCONFIRMED)
    return replace(state, finding=finding, agreed=agreed)


def _freeze(
    state: AttributionState,
    policy: AttributionPolicy,
    sample: NodeUsage,
    *,
    high: bool,
    alarm: bool,
) -> AttributionState:
    """Freeze the baseline at the first high sample, and let it move on when calm is back."""
    at = sample.at
    begin = at - policy.window
    later = [index for index, kept in enumerate(state.recent) if kept.at <= begin]
    recent = (*state.recent[later[-1] if later else 0 :], sample)
    last_high = at if high else state.last_high
    last_alarm = at if alarm else state.last_alarm
    calm = last_high is None or at - last_high >= policy.calm
    onset = state.onset
    ordinary = state.ordinary and not calm and not alarm
    if onset is None:
        if alarm or (high and not ordinary):
            onset = at
            recent = recent[-2:]  # what was done before is no part of the hazard
    elif calm or at - max(onset, last_alarm or onset) >= policy.lapse:
        onset = None
        ordinary = not calm
    frozen = onset is not None
    return AttributionState(
        quiet=state.quiet if frozen else _quiet(state.quiet, policy, sample),
        recent=recent,
        onset=onset,
        last_high=last_high,
        last_alarm=last_alarm,
        ordinary=ordinary,
        baseline=state.baseline if frozen else None,
        eve=state.eve if frozen else None,
        finding=state.finding,
        agreed=state.agreed,
    )


def _quiet(
    quiet: tuple[NodeUsage, ...], policy: AttributionPolicy, sample: NodeUsage
) -> tuple[NodeUsage, ...]:
    """The quiet samples with one more, as many as a baseline needs, and none that is stale."""
    if quiet and sample.at - quiet[-1].at < policy.spacing:
        return quiet
    quiet = (*quiet, sample)
    while len(quiet) > 1 and (
        quiet[0].at < sample.at - policy.stale
        or observed(quiet[1:], policy.longest_gap) >= policy.baseline
    ):
        quiet = quiet[1:]
    return quiet


def _eve(quiet: tuple[NodeUsage, ...], policy: AttributionPolicy) -> tuple[NodeUsage, ...]:
    """The end of the quiet samples, without the gap of an earlier hazard."""
    begin = quiet[-1].at - policy.eve
    return tuple(sample for sample in quiet if sample.at >= begin)


def _baseline(samples: tuple[NodeUsage, ...], policy: AttributionPolicy) -> Baseline:
    return find_baseline(samples, longest_gap=policy.longest_gap, least=policy.least_cpus)


def _find(
    state: AttributionState,
    policy: AttributionPolicy,
    threatened: Criticality,
    held: Collection[str],
    cleared: Collection[str],
) -> Finding:
    sample = state.recent[-1]
    found = Finding(
        verdict=Verdict.NO_BASELINE,
        at=sample.at,
        onset=sample.at if state.onset is None else state.onset,
        window=Nanoseconds(sample.at - state.recent[0].at),
        threatened=threatened,
    )
    if state.baseline is None or state.eve is None:
        return found
    lower = [pod for uid, pod in sample.pods.items() if is_lower(sample, uid, threatened)]
    unknown = bool(lower) and all(pod.used is None for pod in lower)
    last = state.finding.culprit.uid if state.finding and state.finding.culprit else None
    for baseline in (state.baseline, state.eve):
        rises = find_rises(baseline, state.recent, least=policy.least_cpus)
        if rises is None or unknown or 2 * found.window < policy.window:
            return replace(found, verdict=Verdict.INCOMPLETE)
        shares = share_out(rises, sample, policy, threatened=threatened, held=held, cleared=cleared)
        culprit = find_culprit(shares, policy, last=last)
        first = baseline is state.baseline
        if culprit is not None and (first or culprit.uid == found.shares[0].uid):
            found = replace(found, verdict=Verdict.NAMED, culprit=culprit)
            return replace(found, shares=shares, threads=rises.threads)
        if first:
            found = replace(found, verdict=why_nobody(shares), shares=shares, threads=rises.threads)
            if not _is_ahead(shares, policy):
                break
    return found


def _is_ahead(shares: tuple[Share, ...], policy: AttributionPolicy) -> bool:
    """Whether the end of the quiet time, as a baseline of its own, may accuse the leader."""
    others = max((share.score for share in shares[1:]), default=0.0)
    leader = shares[0]
    return leader.role is Role.SUSPECT and leader.score >= policy.eve_margin * others
