"""The state of the response: holds on pods, what was released, which acts wait for an answer."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from k40s.assurance.response.acts import Act, Cause, Hold, Reason, thaw, undo_steps
from k40s.assurance.response.policy import Block
from k40s.units import Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A hold at run time. ``acted`` is the last step's time; ``releasing`` why it is undone."""

    hold: Hold
    since: Nanoseconds
    acted: Nanoseconds
    releasing: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A pod that was released in calm: if the hazard is back at once, it is the cause."""

    hold: Hold
    at: Nanoseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A step that was taken, for the limits."""

    at: Nanoseconds
    destructive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseState:
    """The response between two samples.

    ``cleared`` pods were stopped in vain during this hazard. ``pending`` acts wait for their
    answers since ``asked``. ``refused`` are evictions that were refused, by uid.
    """

    cases: tuple[Case, ...] = ()
    releases: tuple[Release, ...] = ()
    cleared: frozenset[str] = frozenset()
    refused: tuple[tuple[str, Nanoseconds], ...] = ()
    taken: tuple[Taken, ...] = ()
    pending: tuple[Act, ...] = ()
    asked: Nanoseconds | None = None
    calm_since: Nanoseconds | None = None
    blocked: Block | None = None

    @property
    def stored(self) -> tuple[Hold, ...]:
        """What has to be undone after a restart."""
        return tuple(case.hold for case in self.cases)

    @property
    def held(self) -> frozenset[str]:
        """Pods that are held, or will be when a pending act is done."""
        return frozenset(case.hold.uid for case in self.cases)

    @property
    def known(self) -> frozenset[str]:
        """Pods that are held, were released a short time ago, or are left alone."""
        return self.held | self.cleared | {release.hold.uid for release in self.releases}


Asked = tuple[ResponseState, tuple[Act, ...]]
"""A state, and the acts to carry out in this order."""


def find_case(state: ResponseState, uid: str) -> Case | None:
    """The case of a pod that may be held."""
    return next((case for case in state.cases if case.hold.uid == uid), None)


def put_case(state: ResponseState, case: Case) -> ResponseState:
    """Replace a pod's case, or add it as the newest."""
    if find_case(state, case.hold.uid) is None:
        return replace(state, cases=(*state.cases, case))
    cases = tuple(case if kept.hold.uid == case.hold.uid else kept for kept in state.cases)
    return replace(state, cases=cases)


def drop_case(state: ResponseState, uid: str) -> ResponseState:
    """Forget a pod that is not held any more."""
    return replace(state, cases=tuple(case for case in state.cases if case.hold.uid != uid))


def ask(state: ResponseState, acts: tuple[Act, ...], at: Nanoseconds) -> Asked:
    """Ask for acts, and wait for their answers."""
    return replace(state, pending=acts, asked=at), acts


def undoing(state: ResponseState, ending: Collection[str] = ()) -> tuple[Act, ...]:
    """The acts that are left of releases, and of pods that end: repeated until each was done."""
    acts: tuple[Act, ...] = ()
    for case in state.cases:
        if case.releasing is not None:
            acts += undo_steps(case.hold, case.releasing)
        elif case.hold.uid in ending or not case.hold.reached.reversible:
            acts += thaw(case.hold, Reason(cause=Cause.BEFORE_ENDING))
    return acts


def release_case(state: ResponseState, case: Case, reason: Reason, at: Nanoseconds) -> Asked:
    """Undo all that is in force on a pod."""
    if not case.hold.steps:
        return drop_case(state, case.hold.uid), ()
    state = put_case(state, replace(case, releasing=reason))
    return ask(state, undoing(state), at)
