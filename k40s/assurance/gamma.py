"""γ, the state part of the level: falls while a hazard lasts, rises slowly when it is over."""

from dataclasses import dataclass

from k40s.units import NS_PER_S, Nanoseconds

HIGHEST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class GammaPolicy:
    """How γ follows a hazard.

    A hazard that has lasted ``lower_after`` lowers γ by ``lower_step``, and again each
    ``lower_every``; calm that has lasted ``raise_after`` raises it by ``raise_step``, and again
    each ``raise_every``.
    """

    lower_step: int = 5
    lower_after: Nanoseconds = Nanoseconds(NS_PER_S)
    lower_every: Nanoseconds = Nanoseconds(5 * NS_PER_S)
    raise_step: int = 5
    raise_after: Nanoseconds = Nanoseconds(10 * NS_PER_S)
    raise_every: Nanoseconds = Nanoseconds(10 * NS_PER_S)

    def __post_init__(self) -> None:
        if not (1 <= self.lower_step <= HIGHEST and 1 <= self.raise_step <= HIGHEST):
            raise ValueError("γ moves by steps of 1 to 10")
        if min(self.lower_after, self.raise_after) < 0:
            raise ValueError("γ cannot move before a hazard or its end")
        if min(self.lower_every, self.raise_every) <= 0:
            raise ValueError("γ moves again only after some time")


@dataclass(frozen=True, slots=True, kw_only=True)
class GammaState:
    """γ between two samples. ``due`` is when it may move next, None before the first sample."""

    value: int = HIGHEST
    hazardous: bool = False
    due: Nanoseconds | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.value <= HIGHEST:
            raise ValueError("γ lies in 0 to 10")


def follow(
    state: GammaState, policy: GammaPolicy, *, at: Nanoseconds, hazardous: bool
) -> GammaState:
    """γ after one more sample."""
    due = state.due
    if due is None or hazardous != state.hazardous:
        due = Nanoseconds(at + (policy.lower_after if hazardous else policy.raise_after))
    if at < due:
        return GammaState(value=state.value, hazardous=hazardous, due=due)
    if hazardous:
        value, every = max(0, state.value - policy.lower_step), policy.lower_every
    else:
        value, every = min(HIGHEST, state.value + policy.raise_step), policy.raise_every
    return GammaState(value=value, hazardous=hazardous, due=Nanoseconds(at + every))
