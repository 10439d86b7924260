"""γ, the state part of the level: falls by the severity of a hazard, and recovers ever more slowly.

The third stage of the k4.0s monitor (paper, IV-B). A level that flaps moves critical pods to and
fro. So each relapse doubles the calm that γ needs before it rises, and a hazard that comes and goes
leaves γ low.
"""

from dataclasses import dataclass, replace
from enum import IntEnum

from k40s.units import NS_PER_S, Nanoseconds

HIGHEST = 10
MOST_FALLS = 1_000_000
"""More downgrades are not counted."""
_MOST_DOUBLINGS = 40


class Severity(IntEnum):
    """How bad the node's state is for real-time workloads."""

    NONE = 0
    ALARM = 1
    """An alarm is active, and no gauge tells whether critical pods suffer."""
    HARMED = 2
    """A critical pod suffers: pressure, or its own report."""
    MISSED = 3
    """Deadlines are missed, or WCETs exceeded."""


def assess(*, alarm: bool, harmed: bool | None, missed: bool = False) -> Severity:
    """The severity of a sample: what a gauge of harm tells, and the alarm where there is none.

    Without an alarm nothing counts: pressure also rises by interference that admission has planned,
    a task may miss deadlines by its own fault, and a pod's report is its owner's word.
    """
    if not alarm:
        return Severity.NONE
    if harmed is None:
        return Severity.ALARM
    if not harmed:
        return Severity.NONE
    return Severity.MISSED if missed else Severity.HARMED


@dataclass(frozen=True, slots=True, kw_only=True)
class GammaPolicy:
    """How far and how fast γ falls and recovers; designed, not measured, but for the timeout."""

    timeout: Nanoseconds = Nanoseconds(10 * NS_PER_S)
    """A state of this severity or worse that lasts so long lowers γ: stage 2 has its first two
    steps in 5.5 s, and latency is back 0.1 s after the one that helps."""
    alarm: int = 5
    """Where γ falls by an alarm alone: a node with α + β of 8 or less becomes unfit for HI."""
    harmed: int = 3
    """Where γ falls by harm: every node becomes unfit for HI, as α + β is at most 10."""
    missed: int = 0
    """Where γ falls by missed deadlines: a node with α + β below 7 is unfit for LOW too."""
    quiet: Nanoseconds = Nanoseconds(30 * NS_PER_S)
    """Calm before γ rises for the first time; doubles with each relapse…"""
    longest_quiet: Nanoseconds = Nanoseconds(900 * NS_PER_S)
    """…up to this."""
    step: int = 5
    """By how much γ rises."""
    every: Nanoseconds = Nanoseconds(10 * NS_PER_S)
    """Calm between two rises."""
    forgiven: Nanoseconds = Nanoseconds(1800 * NS_PER_S)
    """Calm after which downgrades are forgotten."""

    def __post_init__(self) -> None:
        if not 0 <= self.missed <= self.harmed <= self.alarm < HIGHEST:
            raise ValueError("γ breaks 0 <= missed <= harmed <= alarm < 10")
        if self.timeout < 0 or self.every <= 0:
            raise ValueError("γ cannot fall before a hazard, and rises only after some time")
        if not 1 <= self.step <= HIGHEST:
            raise ValueError("γ rises by steps of 1 to 10")
        if not 0 < self.quiet <= self.longest_quiet <= self.forgiven:
            raise ValueError("γ breaks 0 < quiet <= longest_quiet <= forgiven")

    def floor(self, severity: Severity) -> int:
        """Where γ falls by a state of this severity."""
        return {
            Severity.NONE: HIGHEST,
            Severity.ALARM: self.alarm,
            Severity.HARMED: self.harmed,
            Severity.MISSED: self.missed,
        }[severity]

    def calm(self, falls: int) -> Nanoseconds:
        """The calm before γ rises, after so many downgrades."""
        doublings = min(max(0, falls - 1), _MOST_DOUBLINGS)
        return Nanoseconds(min(self.longest_quiet, self.quiet << doublings))


@dataclass(frozen=True, slots=True, kw_only=True)
class GammaState:
    """γ between two samples.

    ``cause`` is the severity that it fell by, ``NONE`` at 10. ``falls`` counts the hazards that
    lowered it and are not forgotten yet; ``counted`` tells whether the present one is among them.
    ``since`` tells from when on the state has been of each severity or worse, from ``ALARM`` on.
    ``rises`` is when γ may rise next, None outside calm.
    """

    value: int = HIGHEST
    cause: Severity = Severity.NONE
    falls: int = 0
    counted: bool = False
    since: tuple[Nanoseconds | None, ...] = (None, None, None)
    calm_since: Nanoseconds | None = None
    rises: Nanoseconds | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.value <= HIGHEST:
            raise ValueError("γ lies in 0 to 10")
        if self.falls < 0:
            raise ValueError("γ has fallen no fewer than 0 times")


def resume(state: GammaState, *, value: int, cause: Severity, falls: int) -> GammaState:
    """γ after a restart: no higher than it was published, and no downgrade is forgotten.

    A hazard that lasts is the one by which γ fell. The calm of before does not count.
    """
    low = value < HIGHEST
    return replace(
        state,
        value=min(value, state.value),
        cause=max(state.cause, cause, Severity.ALARM) if low else state.cause,
        falls=max(state.falls, falls, int(low)),
        counted=low or state.counted,
        calm_since=None,
        rises=None,
    )


def postpone(state: GammaState, unseen: Nanoseconds) -> GammaState:
    """γ after a time of unknown severity: it is not calm, and lowers nothing.

    Calm counts as far as it is seen: on tickless CPUs single samples may lack a metric.
    """
    if state.calm_since is None or state.rises is None:
        return state
    return replace(
        state,
        calm_since=Nanoseconds(state.calm_since + unseen),
        rises=Nanoseconds(state.rises + unseen),
    )


def recover(
    state: GammaState, policy: GammaPolicy, *, at: Nanoseconds, severity: Severity
) -> GammaState:
    """γ after one more sample."""
    if severity is Severity.NONE:
        return _in_calm(state, policy, at)
    return _in_hazard(state, policy, at, severity)


def _in_calm(state: GammaState, policy: GammaPolicy, at: Nanoseconds) -> GammaState:
    if (
        state.calm_since is not None
        and state.value == HIGHEST
        and not (state.falls or state.counted)
    ):
        return state  # what a node at rest is in every sample
    calm_since = at if state.calm_since is None else state.calm_since
    rises = state.rises
    if rises is None:
        rises = Nanoseconds(at + policy.calm(state.falls))
    calm = replace(
        state,
        since=(None, None, None),
        counted=False,
        calm_since=calm_since,
        rises=rises,
        falls=0 if at - calm_since >= policy.forgiven else state.falls,
    )
    if at < rises or state.value == HIGHEST:
        return calm
    value = min(HIGHEST, state.value + policy.step)
    cause = Severity.NONE if value == HIGHEST else state.cause
    return replace(calm, value=value, cause=cause, rises=Nanoseconds(at + policy.every))


def _in_hazard(
    state: GammaState, policy: GammaPolicy, at: Nanoseconds, severity: Severity
) -> GammaState:
    since = tuple(
        None if severity < level else (at if begun is None else begun)
        for level, begun in zip(_HAZARDS, state.since, strict=True)
    )
    lasting = [
        level
        for level, begun in zip(_HAZARDS, since, strict=True)
        if begun is not None and at - begun >= policy.timeout
    ]
    state = replace(state, since=since, calm_since=None, rises=None)
    if not lasting:
        return state
    value = policy.floor(lasting[-1])
    if value >= state.value:
        return state
    return replace(
        state,
        value=value,
        cause=max(state.cause, lasting[-1]),
        falls=state.falls if state.counted else min(state.falls + 1, MOST_FALLS),
        counted=True,
    )


_HAZARDS = (Severity.ALARM, Severity.HARMED, Severity.MISSED)
