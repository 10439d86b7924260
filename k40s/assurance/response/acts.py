"""The closed list of acts on a culprit, and the holds that must be undone, also after a crash."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum, unique
from fractions import Fraction

from k40s.assurance.metrics import Metric
from k40s.assurance.response.harm import Harm
from k40s.assurance.suspects.verdict import Finding
from k40s.errors import InvalidInputError
from k40s.strict_json import Json

_MOST_HOLDS = 1024
_MOST_RELEASES = 1_000_000
_NAME = re.compile(r"[ -~]{1,400}", re.ASCII)


@unique
class Step(StrEnum):
    """What is done to a culprit, from the mildest to the last resort; the order is that of acts."""

    QUOTA = "quota"
    """A CPU quota: reversible, 0.4 ms to act, leaves the pod alive and a little of the harm."""
    MOVE = "move"
    """Off the CPUs with critical threads: reversible, but harms unpinned SCHED_DEADLINE tasks."""
    FREEZE = "freeze"
    """The freezer: reversible; a v1 freezer holds SIGKILL back."""
    EVICT = "evict"
    """The Eviction API, so that PodDisruptionBudgets hold."""
    KILL = "kill"
    """SIGKILL for all of the pod's processes."""

    @property
    def rank(self) -> int:
        """Its number in the order."""
        return list(Step).index(self)

    @property
    def reversible(self) -> bool:
        """Whether there is something to undo, and the pod lives on."""
        return self in _UNDO


@unique
class ActKind(StrEnum):
    """Every act that the process with the privilege may be asked for."""

    THROTTLE = "throttle"
    UNTHROTTLE = "unthrottle"
    MOVE = "move"
    MOVE_BACK = "move-back"
    FREEZE = "freeze"
    THAW = "thaw"
    EVICT = "evict"
    KILL = "kill"


_DO = {
    Step.QUOTA: ActKind.THROTTLE,
    Step.MOVE: ActKind.MOVE,
    Step.FREEZE: ActKind.FREEZE,
    Step.EVICT: ActKind.EVICT,
    Step.KILL: ActKind.KILL,
}
_UNDO = {
    Step.QUOTA: ActKind.UNTHROTTLE,
    Step.MOVE: ActKind.MOVE_BACK,
    Step.FREEZE: ActKind.THAW,
}


@unique
class Cause(StrEnum):
    """The rule by which an act was chosen."""

    NAMED = "named"
    """Attribution has named the pod."""
    ESCALATED = "escalated"
    """The step before did not end the hazard."""
    RELAPSED = "relapsed"
    """The hazard came back when the pod was released."""
    BEFORE_ENDING = "before-ending"
    """A frozen pod cannot end, and one that ends slowly is throttled meanwhile."""
    OVER = "over"
    """The hazard is over."""
    IN_VAIN = "in-vain"
    """Though the pod was stopped, the hazard went on: it is not the cause."""
    TOO_LONG = "too-long"
    """No pod is held for ever."""
    RESTARTED = "restarted"
    """The process before has left this hold behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why an act was chosen, for the event and the log."""

    cause: Cause
    metrics: tuple[Metric, ...] = ()
    harm: tuple[Harm, ...] = ()
    finding: Finding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One act on one pod. ``quota`` is the share of one CPU, for ``THROTTLE`` alone."""

    kind: ActKind
    uid: str
    pod: str
    reason: Reason
    quota: Fraction | None = None

    def __post_init__(self) -> None:
        if (self.kind is ActKind.THROTTLE) != (self.quota is not None):
            raise ValueError("a quota belongs to throttling, and throttling has one")

    @property
    def step(self) -> Step:
        """The step that this does or undoes."""
        return next(step for step in Step if self.kind in (_DO[step], _UNDO.get(step, _DO[step])))

    @property
    def undoes(self) -> bool:
        """Whether it gives a pod back what another act has taken."""
        return self.kind in _UNDO.values()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What may be in force on a pod: written before the first act, gone after the last undo.

    ``steps`` are reversible ones, in the order in which they were taken. ``reached`` is the last
    step, also one that cannot be undone. ``helped`` tells whether the hazard was over meanwhile:
    if it comes back on release, the pod is its cause. ``releases`` counts earlier holds that did.
    """

    uid: str
    pod: str
    steps: tuple[Step, ...]
    reached: Step
    helped: bool = False
    releases: int = 0

    def __post_init__(self) -> None:
        if not self.uid:
            raise ValueError("a hold names its pod's uid")
        if not all(step.reversible for step in self.steps):
            raise ValueError("a hold keeps only what can be undone")
        if len(set(self.steps)) < len(self.steps) or self.releases < 0:
            raise ValueError("a hold has each step once, and no fewer than 0 releases")

    def without(self, step: Step) -> "Hold":
        """The hold after that step was undone."""
        return replace(self, steps=tuple(kept for kept in self.steps if kept is not step))


def do_step(step: Step, *, uid: str, pod: str, quota: Fraction, reason: Reason) -> Act:
    """The act that takes a step."""
    kind = _DO[step]
    return Act(
        kind=kind,
        uid=uid,
        pod=pod,
        reason=reason,
        quota=quota if kind is ActKind.THROTTLE else None,
    )


def undo_steps(hold: Hold, reason: Reason) -> tuple[Act, ...]:
    """The acts that undo a hold, in reverse order. Each may be repeated without harm."""
    return tuple(
        Act(kind=_UNDO[step], uid=hold.uid, pod=hold.pod, reason=reason)
        for step in reversed(hold.steps)
    )


def thaw(hold: Hold, reason: Reason) -> tuple[Act, ...]:
    """The act that lets a frozen pod run; none where it is not frozen."""
    return tuple(act for act in undo_steps(hold, reason) if act.kind is ActKind.THAW)


def format_holds(holds: Sequence[Hold]) -> list[dict[str, object]]:
    """Plain values for JSON, to be stored before the acts are carried out."""
    return [
        {
            "uid": hold.uid,
            "pod": hold.pod,
            "steps": [step.value for step in hold.steps],
            "reached": hold.reached.value,
            "helped": hold.helped,
            "releases": hold.releases,
        }
        for hold in holds
    ]


def parse_holds(value: object, *, source: str) -> tuple[Hold, ...]:
    """Read what ``format_holds`` wrote. Raises ``InvalidInputError`` with the place."""
    whole = Json(value=value, source=source, error=InvalidInputError)
    holds = tuple(_parse_hold(item) for item in whole.items(at_most=_MOST_HOLDS))
    if len({hold.uid for hold in holds}) < len(holds):
        raise whole.invalid("each pod once", found="a pod that is held twice")
    return holds


def _parse_hold(item: Json) -> Hold:
    fields = item.fields(("uid", "pod", "steps", "reached", "helped", "releases"))
    steps = tuple(step.member_of(Step) for step in fields["steps"].items(at_most=len(_UNDO)))
    if len(set(steps)) < len(steps) or not all(step.reversible for step in steps):
        raise fields["steps"].invalid("each of quota, move and freeze at most once")
    return Hold(
        uid=fields["uid"].text(_NAME, "a pod's uid"),
        pod=fields["pod"].text(_NAME, "a pod's namespace and name"),
        steps=steps,
        reached=fields["reached"].member_of(Step),
        helped=fields["helped"].boolean(),
        releases=fields["releases"].integer(0, _MOST_RELEASES),
    )
